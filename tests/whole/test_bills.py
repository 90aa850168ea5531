"""Bills as people export them are read without a setting: titles above, sums below, columns of a known tool."""

import json
from pathlib import Path

import pytest

from house import eventabs, ran

WECHAT = """\
微信支付账单明细,,,,,,,,
微信昵称：[小明],,,,,,,,
起始时间：[2026-03-01 00:00:00] 终止时间：[2026-03-31 23:59:59],,,,,,,,
导出类型：[全部],,,,,,,,
导出时间：[2026-04-01 10:00:00],,,,,,,,
,,,,,,,,
共3笔记录,,,,,,,,
收入：1笔 50.00元,,,,,,,,
支出：2笔 345.50元,,,,,,,,
中性交易：0笔 0.00元,,,,,,,,
注：,,,,,,,,
1. 充值/提现/理财通购买/零钱通存取/信用卡还款等交易，将计入中性交易,,,,,,,,
2. 本明细仅展示当前账单中的交易，不包括已删除的记录,,,,,,,,
3. 本明细仅供个人对账使用,,,,,,,,
,,,,,,,,
----------------------微信支付账单明细列表--------------------,,,,,,,,
交易时间,交易类型,交易对方,商品,收/支,金额(元),支付方式,当前状态,交易单号,商户单号,备注
2026-03-31 18:33:40,微信红包,小红,"/",收入,¥50.00,/,已存入零钱,"1001\t","2001\t","/"
2026-03-31 18:33:01,商户消费,瑞幸咖啡,"拿铁, 大杯",支出,¥18.50,零钱,支付成功,"1000\t","2000\t","/"
2026-03-30 12:01:44,商户消费,海底捞,"四人套餐",支出,¥327.00,招商银行(1234),支付成功,"1002\t","2002\t","/"
"""
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
BILLS = pytest.mark.parametrize(
    ("text", "encoding", "schema", "skipped", "closed", "shown"),
    [
        (WECHAT, "utf-8-sig", "wechat_bill", 14, 0, ("买 拿铁, 大杯", "买 四人套餐")),
        (ALIPAY, "gb18030", "alipay_bill", 14, 1, ("买 拿铁, 大杯", "买 手机壳")),
    ],
    ids=["wechat", "alipay"],
)


@BILLS
def test_a_bill_is_one_user_without_a_setting(  # noqa: PLR0917  a bill and what it holds
    tmp_path: Path, text: str, encoding: str, schema: str, skipped: int, closed: int, shown: tuple[str, str]
) -> None:
    (tmp_path / "bill.csv").write_bytes(text.replace("\n", "\r\n").encode(encoding))
    told = json.loads(eventabs("columns", "bill.csv", "--json", cwd=tmp_path).stdout)
    assert told["schemas"] == [schema]
    assert told["columns"]["user"] == '"me"'
    assert (told["users"], told["behaviors"], told["rejected_rows"]) == (1, 3 - closed, 0)
    assert (told["skipped_lines"], told["non_behaviors"]) == (skipped, closed)
    lines = "\n".join(row["becomes"] for row in told["rows"])
    assert [each for each in shown if each not in lines] == []
    ran("run", "bill.csv", "--provider", "rules", "--json", cwd=tmp_path)
    events = [json.loads(line) for line in (tmp_path / "bill.eventabs/events.jsonl").read_text().splitlines()]
    assert {event["user_id"] for event in events} == {"me"}
