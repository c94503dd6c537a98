"""Recall and precision on invented personal data and on numbers that only look like it.

The generator writes numbers as people do. It shares nothing with the detectors: checksums are computed here by another
way, formats come from the standards and from habit, and a span counts as found only if kind, start and end are all right.
"""

from __future__ import annotations

import random
import string
from collections import Counter
from collections.abc import Callable

from hanmo.corpora.pii.redact import find_pii

SEED = 20_240_229
N_SPANS = N_NEGATIVES = 4_000

Made = tuple[str, str, str]
"""What stands before the span, the span, what stands after."""


def digits(rng: random.Random, n: int, first: str = string.digits) -> str:
    return rng.choice(first) + "".join(rng.choices(string.digits, k=n - 1))


def word(rng: random.Random, n: int, letters: str = string.ascii_lowercase) -> str:
    return "".join(rng.choices(letters, k=n))


def wide(text: str) -> str:
    """ASCII letters, digits and @ in full width, as a Chinese keyboard types them."""
    return "".join(
        chr(ord(char) + 0xFEE0) if char.isascii() and (char.isalnum() or char in "@.") else char for char in text
    )


def luhn_digit(body: str) -> str:
    """The digit that makes the doubled sum a multiple of ten, by trying all."""
    for check in string.digits:
        number = [int(char) for char in reversed(body + check)]
        doubled = [int("0246813579"[d]) if place % 2 else d for place, d in enumerate(number)]
        if sum(doubled) % 10 == 0:
            return check
    raise AssertionError


def id_character(body: str) -> str:
    """The check character: the number must be 1 modulo 11, read with powers of two (ISO 7064, MOD 11-2)."""
    rest = 0
    for char in body:
        rest = (rest + int(char)) * 2 % 11
    return "0123456789X"[(12 - rest) % 11]


# -- personal data

MAIL_HOST_LIST = (
    "qq.com 163.com 126.com gmail.com outlook.com foxmail.com sina.com.cn tsinghua.edu.cn mail.bnu.edu.cn example.org "
    "hotmail.co.uk ox.ac.uk t-online.de corp.example.com protonmail.com me.com yahoo.co.jp company.io startup.ai gov.cn "
    "my-shop.store news.bbc.co.uk uni-muenchen.de dept.univ.museum studio.design"
)
MAIL_HOSTS = MAIL_HOST_LIST.split()
NAME_LIST = "li.wei zhang_san wangfang john.smith j.doe mary-ann o'brien info chen1988 liu.yang.2003 x admin xiaoming Maria.Garcia"
NAMES = NAME_LIST.split()


def make_email(rng: random.Random, zh: bool) -> Made:
    local = rng.choice([*NAMES, digits(rng, rng.randint(6, 10), "123456789"), word(rng, 5) + digits(rng, 2)])
    if rng.random() < 0.15:
        local += "+" + rng.choice(["news", "2024", "list"])
    mail = f"{local}@{rng.choice(MAIL_HOSTS)}"
    style = rng.random()
    if style < 0.06:
        mail = mail.upper()
    elif style < 0.12 and zh:
        mail = mail.replace("@", "＠") if rng.random() < 0.5 else wide(mail)
    elif style < 0.18:
        mail = mail.replace("@", rng.choice([" [at] ", "(at)", " (AT) ", "[at]"]))
        if rng.random() < 0.5:
            mail = mail.replace(".", rng.choice([" [dot] ", "[dot]", "(dot)"])) if "." not in local else mail
    before, after = rng.choice(
        [
            ("邮箱：", "，"),
            ("请发到", "谢谢"),
            ("E-mail:", " "),
            ("作者（", "）"),
            ("投稿请寄", "。"),
            ("抄送", "和王总"),
            ("", "是我的邮箱"),
        ]
        if zh
        else [
            ("mail ", " today"),
            ("<", ">"),
            ("mailto:", ")"),
            ("Contact: ", "."),
            ("(", ")"),
            ("", ", thanks"),
            ("to '", "'"),
            ("x;", ";y"),
        ]
    )
    return before, mail, after


AREA = ["010", "020", "021", "025", "027", "0571", "0755", "0512", "0931", "0898", "023", "028"]


def make_phone(rng: random.Random, zh: bool) -> Made:
    if zh:
        kind = rng.random()
        if kind < 0.6:
            number = rng.choice(["13", "15", "18", "17", "19", "16"]) + rng.choice("56789") + digits(rng, 8)
            if number[:3] in {"154"}:
                number = "159" + number[3:]
            spaced = [f"{number[:3]}{gap}{number[3:7]}{gap}{number[7:]}" for gap in (" ", "-")]
            spaced += [f"{number[:3]}.{number[3:7]}.{number[7:]}"]
            if rng.random() < 0.03:
                spaced = [f"{number[:3]} {number[3:6]} {number[6:]}"]
            number = rng.choice([number, number, number, *spaced])
            number = rng.choice(["", "", "", "+86", "+86 ", "+86-", "86-", "(+86)", "0086 ", "（+86）"]) + number
        elif kind < 0.9:
            area = rng.choice(AREA)
            local = rng.choice("2345678") + digits(rng, 7 if len(area) == 3 or rng.random() < 0.7 else 6)
            local = rng.choice([local, local, f"{local[:-4]} {local[-4:]}"])
            number = rng.choice([f"{area}-{local}", f"({area}){local}", f"（{area}）{local}", f"{area} {local}"])
            number += rng.choice(["", "", "", "转801", "-8012", " 转 6"])
            if rng.random() < 0.1:
                number = f"+86 {area[1:]} {local}"
        else:
            gap = rng.choice("- ")
            number = f"400{gap}{digits(rng, 3, '168')}{gap}{digits(rng, 4)}"
        if rng.random() < 0.12:
            number = wide(number).replace("-", rng.choice(["－", "-"]))
        before, after = rng.choice(
            [
                ("电话", "。"),
                ("手机：", "，"),
                ("请拨打", "咨询"),
                ("张先生", "（微信同号）"),
                ("联系方式:", "\n"),
                ("我的号码是", "有事打给我"),
                ("转让，", "面议"),
                ("TEL:", " "),
            ]
        )
        return before, number, after
    kind = rng.random()
    if kind < 0.55:
        area, exchange, line = digits(rng, 3, "23456789"), digits(rng, 3, "23456789"), digits(rng, 4)
        style = rng.randrange(7)
        number = [
            f"({area}) {exchange}-{line}", f"{area}-{exchange}-{line}", f"{area}.{exchange}.{line}",
            f"+1 {area} {exchange} {line}", f"+1-{area}-{exchange}-{line}", f"1-{area}-{exchange}-{line}",
            f"+1{area}{exchange}{line}",
        ][style]  # fmt: skip
        number += rng.choice(["", "", "", " ext. 12", " x305"]) if style < 3 else ""
    elif kind < 0.9:
        number = rng.choice(
            [
                f"+44 20 {digits(rng, 4, '378')} {digits(rng, 4)}", f"+44 7{digits(rng, 3)} {digits(rng, 6)}",
                f"+49 (0)30 {digits(rng, 7, '23456')}", f"+33 6 {' '.join(digits(rng, 2) for _ in range(4))}",
                f"+81-90-{digits(rng, 4)}-{digits(rng, 4)}", f"+852 {digits(rng, 4, '5679')} {digits(rng, 4)}",
                f"+65 {digits(rng, 4, '89')} {digits(rng, 4)}", f"+61 4{digits(rng, 2)} {digits(rng, 3)} {digits(rng, 3)}",
                f"+91 {digits(rng, 5, '6789')} {digits(rng, 5)}", f"+7 (495) {digits(rng, 3)}-{digits(rng, 2)}-{digits(rng, 2)}",
                f"+4915{digits(rng, 9)}", f"+886 9{digits(rng, 2)} {digits(rng, 3)} {digits(rng, 3)}",
            ]
        )  # fmt: skip
    else:
        number = "1" + rng.choice("3578") + digits(rng, 9)
    before, after = rng.choice(
        [
            ("Call ", " now"),
            ("tel: ", ","),
            ("My number is ", "."),
            ("Phone:", "\n"),
            ("reach me at ", " or not"),
            ("(fax ", ")"),
            ("WhatsApp ", "!"),
        ]
    )
    return before, number, after


def make_id(rng: random.Random, zh: bool) -> Made:
    area = rng.choice(
        ["110105", "310104", "440305", "510107", "330106", "420111", "650102", "230103", "530102", "460105"]
    )
    year, month, day = rng.randint(1935, 2018), rng.randint(1, 12), rng.randint(1, 28)
    if rng.random() < 0.08 and zh:
        number = f"{area}{rng.randint(30, 99):02}{month:02}{day:02}{digits(rng, 3)}"
        return rng.choice(["身份证号", "身份证：", "旧身份证号码是"]), number, "。"
    body = f"{area}{year}{month:02}{day:02}{digits(rng, 3)}"
    number = body + id_character(body)
    style = rng.random()
    if style < 0.08:
        number = number.lower()
    elif style < 0.16:
        number = f"{number[:6]} {number[6:14]} {number[14:]}"
    elif style < 0.24 and zh:
        number = wide(number)
    before, after = rng.choice(
        [
            ("身份证号：", "，"),
            ("公民身份号码", "，住"),
            ("李强", "男"),
            ("（", "）"),
            ("被告人张某，", "。"),
            ("证件", "已过期"),
        ]
        if zh
        else [
            ("ID ", " was"),
            ('{"id": "', '"}'),
            ("resident ID: ", "."),
            ("number=", "&x"),
            ("(", ")"),
            ("", " belongs to him"),
        ]
    )
    return before, number, after


def make_card(rng: random.Random, zh: bool) -> Made:
    prefix, length = rng.choice(
        [("6222", 19), ("6217", 19), ("6228", 19), ("6225", 16), ("6259", 16), ("4", 16), ("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("2720", 16), ("37", 15), ("34", 15), ("3530", 16), ("6011", 16), ("622848", 19)]
    )  # fmt: skip
    body = prefix + digits(rng, length - 1 - len(prefix))
    number = body + luhn_digit(body)
    if rng.random() < 0.5:
        gap = rng.choice("  -")
        if length == 15:
            number = gap.join((number[:4], number[4:10], number[10:]))
        else:
            number = gap.join(number[at : at + 4] for at in range(0, length, 4))
    elif zh and rng.random() < 0.15:
        number = wide(number)
    before, after = rng.choice(
        [
            ("卡号：", "，"),
            ("请汇入", "账户"),
            ("工商银行", "户名王芳"),
            ("收款账号 ", "\n"),
            ("刷的是", "这张卡"),
            ("", "（建设银行）"),
        ]
        if zh
        else [
            ("card ", " exp 09/27"),
            ("Visa ", "."),
            ("paid with ", ","),
            ("PAN=", ";"),
            ("number: ", "\n"),
            ("charge ", " twice"),
        ]
    )
    return before, number, after


def make_ip(rng: random.Random, zh: bool) -> Made:
    if rng.random() < 0.6:
        first = rng.choice([10, 192, 172, 8, 114, 223, 47, 101, 120, 36, 185, 203, 61])
        address = f"{first}.{rng.choice([168, 16, rng.randint(0, 255)])}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"
        pairs = [("IP：", "，"), ("来自", "的请求"), ("登录地址", "异常"), ("服务器", "宕机了"), ("http://", "/index.html"), ("（", "）")] if zh else [
            ("from ", " port 22"), ("host ", ":8080"), ("[", "]"), ("http://", "/x"), ("ip=", "&"), ("client ", ", server"), ("", " - - [10/Oct/2000]"), ("root@", ":~#"), ("ping ", "."), ("net ", "/24")]  # fmt: skip
    else:
        groups = [f"{rng.choice(['2001', '2408', '240e', '2a00', 'fd12', 'fe80', '2607'])}"] + [
            f"{rng.randrange(65536):x}" for _ in range(7)
        ]
        style = rng.randrange(4)
        if style == 0:
            address = ":".join(groups)
        elif style == 1:
            address = ":".join(groups[: rng.randint(1, 4)]) + "::" + ":".join(groups[-rng.randint(1, 2) :])
        elif style == 2:
            address = ":".join(group.zfill(4) for group in groups).upper()
        else:
            address = ":".join(groups[:4]) + "::"
        pairs = (
            [("IPv6地址：", "，"), ("来自", "的连接"), ("[", "]:443"), ("节点", "离线")]
            if zh
            else [("from ", " port 22"), ("inet6 ", "/64 scope"), ("[", "]:80"), ("host ", ",")]
        )
    return (
        *rng.choice(pairs)[:1],
        address,
        rng.choice([after for _, after in pairs if after[0] not in ":" or "." in address]),
    )


def make_url(rng: random.Random, zh: bool) -> Made:
    host = rng.choice(
        ["api.example.com", "www.shop.cn", "oss.aliyuncs.com", "files.example.org:8443", "localhost:3000"]
    )
    secret = word(rng, rng.randint(16, 40), string.ascii_letters + string.digits)
    kind = rng.randrange(8)
    if kind < 4:
        name = rng.choice(
            [
                "token",
                "access_token",
                "api_key",
                "apikey",
                "secret",
                "client_secret",
                "password",
                "auth_token",
                "refresh_token",
                "session_id",
                "sessionid",
                "X-Amz-Signature",
            ]
        )
        extra = rng.choice(["", "page=2&", "id=77&lang=zh&"])
        head, span = (
            f"https://{host}/{rng.choice(['', 'v1/user', 'reset', 'cb.html'])}?",
            f"{extra}{name}={secret}{rng.choice(['', '&x=1'])}",
        )
    elif kind == 4:
        head, span = f"https://{host}/cb#", f"access_token={secret}&token_type=bearer"
    elif kind == 5:
        head, span = (
            "",
            f"{rng.choice(['https', 'ftp', 'postgres', 'mongodb+srv', 'redis'])}://{word(rng, 5)}:{secret[:10]}@{host}/db",
        )
    elif kind == 6:
        head, span = "https://maps.example.com/js?", f"v=3&key=AIza{secret}9"
    else:
        head, span = (
            f"https://bucket.{host}/a/b.png?",
            f"Expires=1700000000&OSSAccessKeyId=LTAI{secret[:8]}&Signature={secret}%3D",
        )
    before, after = rng.choice(
        [("链接：", "，"), ("打开", "即可重置"), ("地址（", "）"), ("见", "。")]
        if zh
        else [("see ", " now"), ("<", ">"), ('href="', '"'), ("curl '", "'"), ("(", ")"), ("at ", ".")]
    )
    return before + head, span, after


def make_passport(rng: random.Random, zh: bool) -> Made:
    if zh or rng.random() < 0.3:
        number = rng.choice(
            [
                f"E{digits(rng, 8)}",
                f"G{digits(rng, 8)}",
                f"E{rng.choice('ABCDEFGH')}{digits(rng, 7)}",
                f"{rng.choice(['DE', 'SE', 'PE'])}{digits(rng, 7)}",
                f"P{digits(rng, 7)}",
            ]
        )
    else:
        number = rng.choice(
            [
                digits(rng, 9, "123456789"),
                rng.choice("AMNXL") + digits(rng, 8),
                rng.choice(["TR", "AB", "TK"]) + digits(rng, 7),
                f"{digits(rng, 2)}{word(rng, 2, string.ascii_uppercase)}{digits(rng, 5)}",
                f"C01X{digits(rng, 2)}T{digits(rng, 2)}",
            ]
        )
    before, after = rng.choice(
        [
            ("护照号", "，"),
            ("护照号码：", "。"),
            ("持", "号护照入境"),
            ("普通护照 ", " 签发"),
            ("他的护照（", "）丢了"),
            ("护照编号为", "\n"),
        ]
        if zh
        else [
            ("passport ", ","),
            ("Passport No. ", "\n"),
            ("passport number: ", "."),
            ("travelled on passport ", " in May"),
            ("her passport (", ")"),
            ("Passport#", " issued"),
        ]
    )
    return before, number, after


def make_plate(rng: random.Random, zh: bool) -> Made:
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    city = rng.choice("京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼") + rng.choice("ABCDEFGHJK")
    style = rng.random()
    if style < 0.6:
        places = list(digits(rng, 5))
        for at in rng.sample(range(5), rng.choice([0, 1, 1, 2])):
            places[at] = rng.choice(letters)
        serial = "".join(places)
    elif style < 0.8:
        serial = rng.choice("DF") + rng.choice(letters + string.digits) + digits(rng, 4)
    elif style < 0.9:
        serial = digits(rng, 5) + rng.choice("DF")
    else:
        serial = digits(rng, 4) + rng.choice("警学挂港澳")
    plate = city + rng.choice(["", "", "", "·", "·", " ", "-"]) + serial
    if rng.random() < 0.06:
        plate = wide(plate)
    before, after = rng.choice(
        [
            ("车牌号", "，"),
            ("一辆", "的轿车"),
            ("车主的", "被拖走"),
            ("（", "）"),
            ("挪车：", "\n"),
            ("驾驶", "号小型客车"),
        ]
        if zh
        else [
            ("plate ", ","),
            ("the car ", " was"),
            ("(", ")"),
            ("a Tesla, ", "."),
            ("licence ", "\n"),
            ("", " parked here"),
        ]
    )
    return before, plate, after


MAKERS: dict[str, Callable[[random.Random, bool], Made]] = {
    "email": make_email, "phone": make_phone, "cn-id": make_id, "bank-card": make_card,
    "ip": make_ip, "url": make_url, "passport": make_passport, "plate": make_plate,
}  # fmt: skip

# -- what only looks like it


def wrong_id(rng: random.Random) -> str:
    body = f"110105{rng.randint(1950, 2010)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}{digits(rng, 3)}"
    return body + rng.choice([char for char in "0123456789X" if char != id_character(body)])


def impossible_id(rng: random.Random) -> str:
    body = f"{rng.choice(['110105', '990105'])}1988{rng.choice(['1301', '0230', '0431', '0000'])}{digits(rng, 3)}"
    return body + id_character(body)


def wrong_card(rng: random.Random) -> str:
    body = rng.choice(["6222", "4", "51"]) + digits(rng, 11)
    body = body.ljust(15, "7")[:15]
    return body + rng.choice([char for char in string.digits if char != luhn_digit(body)])


def hexes(rng: random.Random, n: int) -> str:
    return word(rng, n, "0123456789abcdef")


NEGATIVES: tuple[Callable[[random.Random], str], ...] = (
    lambda r: f"订单号{digits(r, 18, '123456789')}已发货",
    lambda r: f"订单号：1{r.choice('35789')}{digits(r, 9)}",
    lambda r: f"order #{digits(r, 10, '23456789')} has shipped",
    lambda r: f"tracking number 1Z{digits(r, 16)}",
    lambda r: f"快递单号SF{digits(r, 13)}，请查收",
    lambda r: f"银行卡{wrong_card(r)}无效",
    lambda r: f"card {wrong_card(r)} is not valid",
    lambda r: f"身份证{wrong_id(r)}校验失败",
    lambda r: f"编号{impossible_id(r)}有误",
    lambda r: f"{r.randint(1990, 2030)}-{r.randint(1, 12):02}-{r.randint(1, 28):02} {r.randint(0, 23):02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}",
    lambda r: f"{r.randint(1990, 2030)}年{r.randint(1, 12)}月{r.randint(1, 28)}日",
    lambda r: f"from {r.randint(1, 12):02}/{r.randint(1, 28):02}/{r.randint(1990, 2030)} to {r.randint(1, 28)}.{r.randint(1, 12)}.{r.randint(1990, 2030)}",
    lambda r: f"created at {r.randint(1_300_000_000, 1_800_000_000)}",
    lambda r: f"时间戳{r.randint(1_300_000_000_000, 1_800_000_000_000)}",
    lambda r: f"{r.randint(2000, 2030)}{r.randint(1, 12):02}{r.randint(1, 28):02}{r.randint(0, 23):02}{r.randint(0, 59):02}{r.randint(0, 59):02}",
    lambda r: f"version {r.randint(0, 20)}.{r.randint(0, 30)}.{r.randint(0, 99)}.{r.randint(0, 255)}",
    lambda r: f"升级到{r.randint(1, 20)}.{r.randint(0, 30)}.{r.randint(0, 99)}.{r.randint(0, 255)}版",
    lambda r: f"v{r.randint(1, 20)}.{r.randint(0, 30)}.{r.randint(0, 99)}.{r.randint(0, 255)} released",
    lambda r: f"Mozilla/5.0 Chrome/{r.randint(80, 130)}.0.0.0 Safari/537.36",
    lambda r: f"see section {r.randint(1, 9)}.{r.randint(1, 9)}.{r.randint(1, 9)}.{r.randint(1, 9)}",
    lambda r: f"见第{r.randint(1, 9)}.{r.randint(1, 9)}.{r.randint(1, 9)}.{r.randint(1, 9)}节",
    lambda r: f"listening on {r.choice(['127.0.0.1', '0.0.0.0', '::1', '::', '255.255.255.0'])}:{r.randint(1, 65535)}",
    lambda r: f"{r.randint(256, 999)}.{r.randint(0, 999)}.{r.randint(0, 999)}.{r.randint(0, 999)}",
    lambda r: f"ISBN 978-7-{digits(r, 3)}-{digits(r, 5)}-{digits(r, 1)}",
    lambda r: f"ISBN：978{digits(r, 10)}",
    lambda r: f"人民币{digits(r, 11, '1')}元",
    lambda r: f"${r.randint(1, 999)},{digits(r, 3)},{digits(r, 3)}.{digits(r, 2)}",
    lambda r: f"营收{digits(r, 3, '123')}.{digits(r, 2)}亿元，同比增长{r.randint(1, 99)}.{digits(r, 2)}%",
    lambda r: f"π的近似值3.{digits(r, 16)}",
    lambda r: f"0.{digits(r, 11, '1')} and -{digits(r, 1)}.{digits(r, 15)}e-{r.randint(1, 30)}",
    lambda r: digits(r, r.randint(20, 60), "123456789"),
    lambda r: f"commit {hexes(r, 40)}",
    lambda r: f"md5 {hexes(r, 32)}",
    lambda r: f"{hexes(r, 8)}-{hexes(r, 4)}-4{hexes(r, 3)}-a{hexes(r, 3)}-{hexes(r, 12)}",
    lambda r: ":".join(hexes(r, 2) for _ in range(6)),
    lambda r: f"比分{r.randint(0, 120)}:{r.randint(0, 120)}，用时{r.randint(0, 59):02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}",
    lambda r: f"股票代码{r.choice(['600', '000', '300'])}{digits(r, 3)}，港股{digits(r, 5)}.HK",
    lambda r: f"https://www.example.com/{word(r, 6)}/{digits(r, r.randint(5, 13))}.html?page={r.randint(1, 9)}&sort=date",
    lambda r: f"https://weibo.com/{digits(r, 10, '1')}/status/1{r.choice('3578')}{digits(r, 9)}",
    lambda r: f"https://github.com/{word(r, 5)}/{word(r, 7)}/issues/{r.randint(1, 99999)}#issuecomment-{digits(r, 10)}",
    lambda r: f"@{word(r, 8)} thanks! cc @{word(r, 5)}_{digits(r, 2)}",
    lambda r: f"@{r.choice(['人民日报', '小明同学'])} 转发微博//@{word(r, 6)}:好",
    lambda r: f"{word(r, 1)}@{word(r, 1)} + {word(r, 1)}@{word(r, 1)}.T",
    lambda r: f"scores = q@k.transpose(-2, -1) + {word(r, 3)}@{word(r, 4)}",
    lambda r: f"npm install {word(r, 6)}@{r.randint(0, 9)}.{r.randint(0, 20)}.{r.randint(0, 9)}",
    lambda r: f"git@github.com:{word(r, 5)}/{word(r, 6)}.git",
    lambda r: f"images/icon{r.randint(1, 99)}@2x.png",
    lambda r: f"@property def {word(r, 5)}(self): return std::vector::{word(r, 4)}",
    lambda r: f"型号{r.choice('EGDP')}{digits(r, 8)}的配件",
    lambda r: f"part no. {r.choice('EGDP')}{digits(r, 8)}",
    lambda r: f"京东{r.choice('ABC')}{digits(r, 5)}活动，新款A{r.randint(1, 99)}，云计算K{r.randint(1, 9)}s",
    lambda r: f"川{r.randint(10000, 99999)}人，苏E",
    lambda r: f"QQ群{digits(r, 9, '123456789')}",
    lambda r: f"邮编{digits(r, 6)}，门牌{r.randint(1, 999)}号",
    lambda r: f"{r.randint(1000, 9999)} {r.randint(1000, 9999)} {r.randint(1000, 9999)}",
    lambda r: f"pages {r.randint(100, 400)}-{r.randint(401, 999)}, {r.randint(1990, 2030)}-{r.randint(1990, 2030)}",
    lambda r: f"doi:10.{r.randint(1000, 9999)}/{word(r, 4)}.{digits(r, 8)}.{digits(r, 4)}",
    lambda r: f"arXiv:{r.randint(10, 25)}{r.randint(1, 12):02}.{digits(r, 5)}v{r.randint(1, 4)}",
    lambda r: f"IMEI: {digits(r, 15)}",
    lambda r: f"({r.randint(100, 180)}.{digits(r, 7)}, {r.randint(10, 60)}.{digits(r, 7)})",
    lambda r: f"{r.randint(100, 999)}×{r.randint(100, 999)}×{r.randint(100, 999)}mm，第{digits(r, 9)}号",
    lambda r: f"id={digits(r, 11, '2456789')}&t={digits(r, 13, '2')}",
    lambda r: f"EAN 69{digits(r, 11)}",
    lambda r: f"粤ICP备{digits(r, 8)}号-{r.randint(1, 9)}，京公网安备{digits(r, 14)}号",
    lambda r: f"国药准字Z{digits(r, 8)}",
    lambda r: f"统一社会信用代码91110105MA{word(r, 7, 'ABCDEFGHJKLMNPQRTUWXY0123456789')}{digits(r, 1)}",
    lambda r: f"tweet {digits(r, 19, '1')}",
    lambda r: f"交易流水{digits(r, 16, '2456')}",
    lambda r: f"reading {digits(r, 16, '123456789')} done",
    lambda r: f"{r.randint(100, 999)} {r.randint(100, 999)} {r.randint(1000, 9999)} {r.randint(10, 99)}",
    lambda r: f"1.{r.randint(1, 9)}.{r.randint(1, 9)}.{r.randint(1, 9)} {r.choice(['概述', 'Overview', '引言'])}",
    lambda r: f"M{r.randint(1, 9)}.{r.randint(1, 9)}c{r.randint(1, 9)}.{r.randint(1, 9)}-{r.randint(1, 9)}.{r.randint(1, 9)}.{r.randint(1, 9)}.{r.randint(1, 9)} 0 1",
    lambda r: f"x={r.randint(1, 99)}+{digits(r, 10, '123456789')}",
    lambda r: f"photo ({digits(r, 11, '1')}).jpg",
    lambda r: f"https://example.com/reset?token=YOUR_TOKEN&lang=en and ?code={r.randint(100, 999)}",
    lambda r: f"https://example.com/s?key={word(r, 5)}&session=2024&max_tokens=100&author={word(r, 6)}",
    lambda r: f"{r.choice(['2', '3', 'f'])}{hexes(r, 3)}::{word(r, 4, 'ghijk')}() std::{hexes(r, 4)}::x",
    lambda r: f"有{r.randint(100, 999)}-{r.randint(1000, 9999)}-{r.randint(1000, 9999)}个组合，{r.randint(100, 199)}-{r.randint(100, 999)}-{r.randint(1000, 9999)}",
)  # fmt: skip

FILLERS_ZH = ("今天天气不错。", "据记者了解，", "他说：", "", "", "（完）", "会议在下午三点开始，共有25人参加。")
FILLERS_EN = (" It rained all day. ", " As he put it, ", "", "", " (end) ", " There were 25 people in 3 rooms. ")


def draw() -> list[tuple[str, tuple[int, int, str] | None]]:
    """Texts with at most one span each, in a seeded order."""
    rng = random.Random(SEED)
    drawn: list[tuple[str, tuple[int, int, str] | None]] = []
    for number in range(N_SPANS):
        kind, zh = list(MAKERS)[number % len(MAKERS)], number // len(MAKERS) % 2 == 0
        before, span, after = MAKERS[kind](rng, zh)
        fillers = FILLERS_ZH if zh else FILLERS_EN
        head = rng.choice(fillers) + before
        drawn.append((head + span + after + rng.choice(fillers), (len(head), len(head) + len(span), kind)))
    for number in range(N_NEGATIVES):
        fillers = FILLERS_ZH if number % 2 else FILLERS_EN
        text = NEGATIVES[number % len(NEGATIVES)](rng)
        drawn.append((rng.choice(fillers) + text + rng.choice(["", " ", "，", "."]) + rng.choice(fillers), None))
    return drawn


def test_recall_and_precision() -> None:
    hits, wanted, found = Counter[str](), Counter[str](), Counter[str]()
    misses: list[str] = []
    for text, truth in draw():
        spans = [(span.start, span.end, span.kind) for span in find_pii(text)]
        found.update(kind for _, _, kind in spans)
        if truth is not None:
            wanted[truth[2]] += 1
            hits[truth[2]] += truth in spans
        wrong = [(kind, text[start:end]) for start, end, kind in spans if (start, end, kind) != truth]
        missed = truth is not None and truth not in spans
        if missed or wrong:
            misses.append(
                f"{text!r}: {'missed ' + repr(text[truth[0] : truth[1]]) if missed and truth else ''} found {wrong}"
            )
    for kind in MAKERS:
        print(f"{kind:9}  recall {hits[kind] / wanted[kind]:.4f}  precision {hits[kind] / max(1, found[kind]):.4f}")
    recall, precision = hits.total() / wanted.total(), hits.total() / found.total()
    print(f"all        recall {recall:.4f}  precision {precision:.4f}  of {wanted.total():,} and {N_NEGATIVES:,}")
    assert wanted.total() == N_SPANS
    assert recall >= 0.99, "\n".join(misses)
    assert precision >= 0.95, "\n".join(misses)
    assert all(hits[kind] >= 0.97 * wanted[kind] for kind in MAKERS), "\n".join(misses)
