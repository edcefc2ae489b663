"""Invented names in the scripts of a county, put together from syllables, never from real lists.

Pure and seeded: the same generator state gives the same name. A name that somebody bears can
come out by chance; no number that goes with it reaches anybody (see `contacts.phone`).
"""

from random import Random

_ZH_FAMILY = (
    "赵钱孙周吴郑冯陈褚卫蒋沈韩杨朱秦许何吕张孔曹严华金魏陶姜谢邹喻柏水窦章云苏潘葛范彭郎鲁韦马"
)
_ZH_FIRST = "云青石松岚溪原川晓禾星海田雨林山长文春秋向承"
_ZH_SECOND = "岭峰泉声舟野鸣苗麦程远朴安平和宁棠秋河晨桥生"
_UG_FIRST = (
    "ئاي",
    "ئەل",
    "با",
    "تۇر",
    "جا",
    "دىل",
    "را",
    "زۇ",
    "سا",
    "شا",
    "قا",
    "ما",
    "نۇر",
    "يا",
)
_UG_MIDDLE = ("", "دى", "را", "لى", "مى", "نا", "سۇ", "رى")
_UG_LAST = ("بەك", "جان", "خان", "تاي", "نۇر", "گۈل", "مەت", "زات")
_KK_FIRST = ("اي", "ەر", "باق", "جان", "قۋان", "نۇر", "سەر", "دا", "مۇ", "تو", "ورا", "جول")
_KK_MIDDLE = ("", "دا", "بو", "تى", "ما", "كە", "سى")
_KK_LAST = ("بەك", "تاي", "گۇل", "بول", "لان", "جان", "مان")
_VILLAGE_FIRST = "上下前后东西南北大小新老高深长红白青黑黄双三五"
_VILLAGE_SECOND = (
    "石滩", "柳沟", "杏园", "榆林", "沙梁", "草湖", "泉眼", "羊圈", "马场", "渠口", "桥头", "苇湖",
    "麦田", "瓜地", "桑园", "磨坊", "河湾", "台子", "墩子", "岔口", "阳坡", "阴坡", "松坪", "雪沟",
)  # fmt: skip


def person_name(rng: Random, language: str) -> str:
    """Return an invented name in the language's script."""
    match language:
        case "ug":
            return f"{_joined(rng, _UG_FIRST, _UG_MIDDLE, _UG_LAST)} " + _joined(
                rng, _UG_FIRST, _UG_MIDDLE, _UG_LAST
            )
        case "kk-Arab":
            return f"{_joined(rng, _KK_FIRST, _KK_MIDDLE, _KK_LAST)} " + _joined(
                rng, _KK_FIRST, _KK_MIDDLE, _KK_LAST
            )
        case _:
            return rng.choice(_ZH_FAMILY) + rng.choice(_ZH_FIRST) + rng.choice(_ZH_SECOND)


def village_names(rng: Random, count: int) -> list[str]:
    """Return different invented village names, without 村."""
    names = [first + second for first in _VILLAGE_FIRST for second in _VILLAGE_SECOND]
    return rng.sample(names, count)


def _joined(rng: Random, *tables: tuple[str, ...]) -> str:
    return "".join(rng.choice(table) for table in tables)
