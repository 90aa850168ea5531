"""A bill as people export it is read without a setting: titles above, sums below, columns of a known tool."""

import json
from pathlib import Path

from house import eventabs, lines, ran

ALIPAY = """\
------------------------------------------------------------------------------------
导出信息：
姓名：小明
支付宝账户：xiaoming@example.com
起始时间：[2026-03-01 00:00:00]    终止时间：[2026-03-31 23:59:59]
导出交易类型：[全部]
导出时间：[2026-04-01 10:00:00]
共3笔记录
收入：0笔 0.00元
支出：2笔 345.50元
不计收支：1笔 1.00元

特别提示：
1.本回单内容仅供参考；
------------------------支付宝支付科技有限公司  电子客户回单------------------------
交易时间,交易分类,交易对方,对方账号,商品说明,收/支,金额,收/付款方式,交易状态,交易订单号,商家订单号,备注,
2026-03-31 18:33:40,餐饮美食,瑞幸咖啡,lu***@example.com,"拿铁, 大杯",支出,18.50,余额宝,交易成功,1000\t,2000\t,,
2026-03-31 18:33:01,日用百货,旗舰店,qi***@example.com,手机壳,支出,327.00,余额宝,交易成功,1001\t,2001\t,,
2026-03-30 12:01:44,日用百货,旗舰店,qi***@example.com,充电器,支出,1.00,余额宝,交易关闭,1002\t,2002\t,,
"""


def test_a_bill_is_one_user_without_a_setting(tmp_path: Path) -> None:
    (tmp_path / "bill.csv").write_bytes(ALIPAY.replace("\n", "\r\n").encode("gb18030"))
    told = json.loads(eventabs("columns", "bill.csv", "--json", cwd=tmp_path).stdout)
    assert told["schemas"] == ["alipay_bill"]
    assert told["columns"]["user"] == '"me"'
    assert (told["users"], told["behaviors"], told["rejected_rows"]) == (1, 2, 0)
    assert (told["skipped_lines"], told["non_behaviors"]) == (14, 1)
    shown = "\n".join(row["becomes"] for row in told["rows"])
    assert [each for each in ("买 拿铁, 大杯", "买 手机壳") if each not in shown] == []
    ran("run", "bill.csv", "--provider", "rules", "--json", cwd=tmp_path)
    assert {event["user_id"] for event in lines(tmp_path / "bill.eventabs/events.jsonl")} == {"me"}
