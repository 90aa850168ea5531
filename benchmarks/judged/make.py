#!/usr/bin/env python3
"""Makes the judged export anew from src/*.txt (hand-written undertakings; parameters of routines and noise).

    python3 make.py          (seeded, standard library only; writes beside itself)

Notation of src/*.txt
  === id|age|gender|occupation|city|note|style|first-last|target   style: struct, text or mixed
  U gid|label[|parent]     the lines below are one undertaking           G label   one hand-written occasion (routine)
  Z                        the lines below are noise
  DAY HH:MM verb object [@app | @@poi] [~duration] [!! why this is a look-alike]
  R label|days|prob|row ; row    a routine: HH:MM+-jitter verb object ... ?prob ; alternatives of an object parted by " / "
                           days: weekdays 1-7, or e:N:K (every N days from K), or d:1,4,9
  OFF label,label|3-5      routine not done on these days (* = all; N = noise; NT = what the noise says of home)
  N rate|HH:MM-HH:MM|row / row / row      stray rows, rate a day
"""
import csv, datetime as dt, json, random, re, sys
from pathlib import Path
HERE = Path(__file__).resolve().parent
START = {"zh": dt.date(2031, 3, 3), "en": dt.date(2031, 9, 1)}   # both are Mondays
VERB = dict(s="search", b="browse", c="click", f="favorite", k="cart", p="purchase", m="compare", u="use", v="visit", t="text")
MEDIA = {"浏览器", "知乎", "今日头条", "什么值得买", "browser", "YouTube", "Reddit"}
WD = {"zh": "一二三四五六日", "en": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]}


def dur(s):
    m = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m?)?(?:(\d+)s)?", s)
    if s.endswith("s"):
        m = re.fullmatch(r"(?:(\d+)m)?(\d+)s", s)
        return int(m[1] or 0) * 60 + int(m[2])
    return int(m[1] or 0) * 3600 + int(m[2] or 0) * 60


def parse(rest):
    """verb object [@app|@@poi] [~dur] [!! why] -> dict"""
    why = ""
    if "!!" in rest:
        rest, why = [x.strip() for x in rest.split("!!", 1)]
    d = None
    m = re.search(r"\s~(\S+)$", rest)
    if m:
        d, rest = dur(m[1]), rest[:m.start()].strip()
    app = poi = ""
    m = re.search(r"\s@@(.+)$", rest)
    if m:
        poi, rest = m[1].strip(), rest[:m.start()].strip()
    else:
        m = re.search(r"\s@(.+)$", rest)
        if m:
            app, rest = m[1].strip(), rest[:m.start()].strip()
    verb, obj = rest.split(None, 1)
    verb = VERB.get(verb, verb)
    if verb == "visit":
        poi, obj = obj, ""
    if verb == "use":
        app, obj = obj, ""
    return dict(verb=verb, item=obj, app=app, poi=poi, dur=d, why=why)


def read(lang):
    users, cur, grp, n = [], None, None, 0
    for ln, line in enumerate((HERE / "src" / f"{lang}.txt").read_text("utf-8").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        try:
            if line.startswith("==="):
                f = [x.strip() for x in line[3:].split("|")]
                a, b = map(int, f[7].split("-"))
                cur = dict(id=f[0], prof=f[:6], style=f[6], a=a, b=b, target=int(f[8]), hand=[], R=[], OFF=[], N=[], groups={})
                users.append(cur); grp = None; n = 0
            elif line.startswith("U "):
                f = [x.strip() for x in line[2:].split("|")] + [""]
                assert f[0] not in cur["groups"], "group twice"
                grp = (f[0], f[1], f[2], "undertaking"); cur["groups"][f[0]] = f[1]
                assert not f[2] or f[2] in cur["groups"], "parent unknown"
            elif line.startswith("G "):
                n += 1; grp = (f"g{n}", line[2:].strip(), "", "routine")
            elif line == "Z":
                grp = ("", "", "", "noise")
            elif line.startswith("R "):
                cur["R"].append([x.strip() for x in line[2:].split("|", 3)])
            elif line.startswith("OFF "):
                cur["OFF"].append([x.strip() for x in line[4:].split("|")])
            elif line.startswith("N "):
                cur["N"].append([x.strip() for x in line[2:].split("|", 2)])
            else:
                m = re.match(r"(\d+) (\d\d?):(\d\d) (.+)$", line)
                r = parse(m[4]); r.update(day=int(m[1]), min=int(m[2]) * 60 + int(m[3]), grp=grp, hand=True)
                assert cur["a"] <= r["day"] <= cur["b"] + 1, "day outside of the user's span"
                cur["hand"].append(r)
        except Exception as e:
            sys.exit(f"{lang}.txt:{ln}: {line!r}: {e!r}")
    return users


def on_days(spec, a, b):
    if spec.startswith("e:"):
        n, k = map(int, spec[2:].split(":"))
        return [d for d in range(a, b + 1) if d >= k and (d - k) % n == 0]
    if spec.startswith("d:"):
        return [int(x) for x in spec[2:].split(",") if a <= int(x) <= b]
    return [d for d in range(a, b + 1) if str((d - 1) % 7 + 1) in spec]


def off(u, name, d):
    for names, days in u["OFF"]:
        if name in names.split(",") or (names == "*" and name not in ("N", "NT")):
            for part in days.split(","):
                x, _, y = part.partition("-")
                if int(x) <= d <= int(y or x):
                    return True
    return False


def stretch(rng, d, q=.14):
    return None if d is None else max(20, int(d * rng.uniform(1 - q, 1 + q)))


def make_user(lang, u):
    rng = random.Random(f"judged-{lang}-{u['id']}")
    day0 = START[lang]
    rows = []
    at = lambda day, mn, sec: dt.datetime.combine(day0, dt.time()) + dt.timedelta(days=day - 1, minutes=mn, seconds=sec)
    for r in u["hand"]:
        r = dict(r, t=at(r["day"], r["min"], rng.randrange(60)))
        if r["dur"]:
            r["dur"] = stretch(rng, r["dur"], .03)
        rows.append(r)
    k = 0
    for name, days, prob, spec in u["R"]:
        k += 1
        for d in on_days(days, u["a"], u["b"]):
            if off(u, name, d) or rng.random() > float(prob):
                continue
            for part in spec.split(" ; "):
                part = part.strip()
                p = 1.0
                m = re.search(r"\s\?(\S+)$", part)
                if m:
                    p, part = float(m[1]), part[:m.start()].strip()
                m = re.match(r"(\d\d?):(\d\d)\+-(\d+) (.+)$", part)
                assert m, (u["id"], part)
                if rng.random() > p:
                    continue
                r = parse(rng.choice(m[4].split(" / ")).strip())
                mn = int(m[1]) * 60 + int(m[2]) + rng.randint(-int(m[3]), int(m[3]))
                r.update(t=at(d, mn, rng.randrange(60)), dur=stretch(rng, r["dur"]), hand=False,
                         grp=(f"r{k}-{(day0 + dt.timedelta(days=d - 1)).strftime('%m%d')}", name, "", "routine"))
                rows.append(r)
    for rate, span, spec in u["N"]:
        lo, hi = [int(x[:-3]) * 60 + int(x[-2:]) for x in span.split("-")]
        opts = [o.strip() for o in spec.split(" / ")]
        last = None
        for d in range(u["a"], u["b"] + 1):
            if off(u, "N", d):
                continue
            for _ in range(int(rng.gammavariate(2, float(rate) / 2) + rng.random())):
                may = [o for o in opts if o != last and not (o.startswith("t ") and off(u, "NT", d))]
                o = rng.choice(may); last = o
                r = parse(o)
                r.update(t=at(d, rng.randint(lo, hi), rng.randrange(60)), dur=stretch(rng, r["dur"], .5), hand=False,
                         grp=("", "", "", "noise"))
                rows.append(r)
    # nobody is in two places at once: what was written by hand wins
    while True:
        rows.sort(key=lambda r: r["t"])
        vis = [r for r in rows if r["verb"] == "visit" and r["dur"]]
        bad = None
        for x, y in zip(vis, vis[1:]):
            gap = (y["t"] - x["t"]).total_seconds()
            if gap < x["dur"]:
                if x["hand"] and y["hand"]:
                    sys.exit(f"{u['id']}: two hand-written visits overlap: day {x['day']} {x['t']} {x['poi']} / {y['t']} {y['poi']}")
                if x["hand"] or gap < 900:
                    bad = y if not y["hand"] else x
                    break
                x["dur"] = int(gap - rng.randint(240, 540))
        if bad is None:
            break
        rows.remove(bad)
    while len(rows) > u["target"]:
        gen = [r for r in rows if not r["hand"]]
        if not gen:
            break
        rows.remove(rng.choice(gen))
    seen = set()
    for r in rows:
        while r["t"] in seen:
            r["t"] += dt.timedelta(seconds=1)
        seen.add(r["t"])
    rows.sort(key=lambda r: r["t"])
    for r in rows:
        r["rec"] = record(lang, u, r, rng)
    return rows


def say(lang, d):
    h, m = divmod(round(d / 60), 60)
    if d < 90:
        return f"{d}秒" if lang == "zh" else f"{d} s"
    if lang == "zh":
        return (f"{h}小时" if h else "") + (f"{m}分钟" if m or not h else "")
    return " ".join(x for x in (f"{h} h" if h else "", f"{m} min" if m or not h else "") if x)


def sentence(lang, r):
    i, a, p, d, v = r["item"], r["app"], r["poi"], r["dur"], r["verb"]
    if lang == "zh":
        t = (" " + (f"{d}秒" if d < 600 and v in ("browse", "compare", "search") else say(lang, d))) if d else ""
        on = f" 在{a}" + "上" * (v == "browse") if a else (f" 在{p}" if p else "")
        w = dict(visit=f"在{p}停留", use=f"使用{a}", search=f"搜索{i}", browse=f"浏览{i}", click=f"点击{i}", favorite=f"收藏{i}",
                 cart=f"加购{i}", purchase=f"购买{i}", compare=f"对比{i}", call=f"打电话 {i}", pay=f"支付{i}", book=f"预约{i}",
                 order=f"下单{i}", message=f"发消息 {i}", post=f"发布{i}", read=f"阅读{i}", watch=f"观看{i}", listen=f"收听{i}",
                 submit=f"提交{i}", upload=f"上传{i}", download=f"下载{i}", note=f"记录{i}", text=i)[v]
        return w + ("" if v in ("visit", "use", "text") else on) + t
    t = (" for " + say(lang, d)) if d else ""
    on = f" on {a}" if a else (f" at {p}" if p else "")
    w = dict(visit=f"Stayed at {p}", use=f"Used {a}", search=f"Searched for {i}", browse=f"Looked at {i}", click=f"Clicked {i}",
             favorite=f"Saved {i}", cart=f"Added {i} to the cart", purchase=f"Bought {i}", compare=f"Compared {i}", call=f"Called {i}",
             pay=f"Paid {i}", book=f"Booked {i}", order=f"Ordered {i}", message=f"Messaged {i}", post=f"Posted {i}", read=f"Read {i}",
             watch=f"Watched {i}", listen=f"Listened to {i}", submit=f"Submitted {i}", upload=f"Uploaded {i}",
             download=f"Downloaded {i}", note=f"Noted {i}", text=i)[v]
    return w + ("" if v in ("visit", "use", "text") else on) + t


def record(lang, u, r, rng):
    rec = dict(user_id=u["id"], timestamp=str(r["t"]))
    if r["verb"] == "text" or u["style"] == "text" or (u["style"] == "mixed" and rng.random() < .45):
        rec["behavior_text"] = sentence(lang, r)
        return rec
    rec["action"] = r["verb"]
    if r["item"]:
        rec["item"] = r["item"]
    if r["app"]:
        rec["media" if r["app"] in MEDIA else "app"] = r["app"]
    if r["poi"]:
        rec["poi"] = r["poi"]
    if r["dur"]:
        rec["duration"] = r["dur"]
    return rec


def main():
    (HERE / "read").mkdir(exist_ok=True)
    stats, look = {}, []
    for lang in ("zh", "en"):
        users = read(lang)
        allrows = []
        for u in users:
            rows = make_user(lang, u)
            assert rows, u["id"]
            with open(HERE / "read" / f"{lang}_{u['id']}.txt", "w", encoding="utf-8") as f:
                names = ["user_id", "age", "gender", "occupation", "city", "note"]
                f.write("  ".join(f"{n}: {x}" for n, x in zip(names, u["prof"]) if x) + "\n\n")
                for n, r in enumerate(rows, 1):
                    rec = r["rec"]
                    wd = WD[lang][r["t"].weekday()]
                    wd = "周" + wd if lang == "zh" else wd
                    d = say(lang, rec["duration"]) if rec.get("duration", 0) >= 60 else (f"{rec['duration']} s" if "duration" in rec else "")
                    if "behavior_text" in rec:
                        cells = [rec["behavior_text"]]
                    else:
                        obj = rec.get("item", "")
                        place = rec.get("app") or rec.get("media") or rec.get("poi") or ""
                        cells = [rec["action"], obj or "-", place, d]
                    f.write(f"{n:>3}  {r['t']:%Y-%m-%d} {wd} {r['t']:%H:%M}  " + "  ".join(c for c in cells if c) + "\n")
                    if r["why"]:
                        look.append((lang, u["id"], str(r["t"]), n, sentence(lang, r), r["grp"], r["why"]))
            allrows += rows
            stats[u["id"]] = (lang, u, rows)
        allrows.sort(key=lambda r: (r["t"], r["rec"]["user_id"]))
        with open(HERE / f"{lang}.jsonl", "w", encoding="utf-8") as f, open(HERE / f"author_{lang}.csv", "w", encoding="utf-8", newline="") as g:
            w = csv.writer(g, lineterminator="\n")
            w.writerow("user_id timestamp line group label parent kind".split())
            for n, r in enumerate(allrows, 1):
                f.write(json.dumps(r["rec"], ensure_ascii=False) + "\n")
                w.writerow([r["rec"]["user_id"], r["rec"]["timestamp"], n, *r["grp"]])
        with open(HERE / f"{lang}_profiles.csv", "w", encoding="utf-8", newline="") as f:
            w = csv.writer(f, lineterminator="\n")
            w.writerow("user_id age gender occupation city note".split())
            w.writerows(u["prof"] for u in users)
    return stats, look


if __name__ == "__main__":
    stats, look = main()
    tot = {}
    for uid, (lang, u, rows) in stats.items():
        c = {k: sum(r["grp"][3] == k for r in rows) for k in ("undertaking", "routine", "noise")}
        for k, v in c.items():
            tot[lang, k] = tot.get((lang, k), 0) + v
        print(lang, uid, "rows", len(rows), "target", u["target"], c, "undertakings", len(u["groups"]), "look-alikes", sum(bool(r["why"]) for r in rows))
    for lang in ("zh", "en"):
        n = sum(v for (l, k), v in tot.items() if l == lang)
        if n: print(lang, n, {k: round(v / n, 3) for (l, k), v in tot.items() if l == lang})
