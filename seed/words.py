"""The words a Chinese city is made of: names of people, compounds, streets and small firms."""

from seed.dice import Dice

# The commonest surnames with their share in percent, from published counts, rounded.
SURNAMES = {
    "王": 7.1, "李": 7.0, "张": 6.7, "刘": 5.1, "陈": 4.5, "杨": 3.2, "黄": 2.3, "赵": 2.2,
    "吴": 2.0, "周": 2.0, "徐": 1.5, "孙": 1.4, "马": 1.3, "朱": 1.3, "胡": 1.2, "郭": 1.1,
    "何": 1.1, "林": 1.1, "罗": 1.0, "高": 1.0, "梁": 0.9, "郑": 0.9, "谢": 0.8, "宋": 0.8,
    "唐": 0.8, "许": 0.7, "邓": 0.7, "韩": 0.7, "冯": 0.7, "曹": 0.6, "彭": 0.6, "曾": 0.6,
    "肖": 0.6, "田": 0.5, "董": 0.5, "潘": 0.5, "袁": 0.5, "蔡": 0.5, "蒋": 0.5, "余": 0.5,
    "欧阳": 0.1, "司徒": 0.05,
}  # fmt: skip
GIVEN = (
    "伟强磊军洋勇杰涛超明刚平辉鹏飞波斌华建国志海文武东南北晨浩宇轩睿博涵"
    "芳娜敏静丽艳娟霞秀兰英梅玲红云雪琳燕萍颖倩婷慧洁莉蓉薇萱怡欣雅佳晓子梓"
)

COMPOUND_FIRST = (
    "碧波", "金湖", "翠竹", "阳光", "锦绣", "学府", "滨江", "御景", "和谐", "幸福",
    "春晖", "明珠", "丽景", "枫林", "紫荆", "荷塘", "东篱", "华府", "盛世", "康乐",
    "银杏", "桂花", "望湖", "福星", "新城", "世纪", "江南", "云栖", "听涛", "松鹤",
)  # fmt: skip
COMPOUND_LAST = ("园", "花园", "家园", "苑", "新村", "公馆", "里", "小区", "府", "湾")
STREETS = (
    "碧波路", "环湖大道", "南浦路", "解放路", "人民路", "建设路", "文昌路", "学院路", "金洲路",
    "渔港街", "莲花路", "长堤路", "白沙街", "桃花路", "迎宾大道", "朝阳路", "龙洲路", "芙蓉路",
    "沿江路", "书院路", "和平路", "青年路", "工农街", "团结路",
)  # fmt: skip
FIRM_FIRST = ("鑫达", "宏远", "百顺", "天润", "恒通", "佳禾", "顺发", "博雅", "聚源", "华联")
FIRM_LAST = ("商贸有限公司", "餐饮店", "便利店", "诊所", "汽修厂", "培训中心", "五金行", "网吧")


def person(dice: Dice) -> str:
    """Make a person's name, of two characters or three."""
    given = dice.pick(GIVEN)
    if dice.chance(0.8):
        given += dice.pick(GIVEN)
    return dice.weighted(SURNAMES) + given


def firm(dice: Dice) -> str:
    """Make a small firm's name."""
    return f"澄湖{dice.pick(FIRM_FIRST)}{dice.pick(FIRM_LAST)}"


def compound_names(dice: Dice) -> list[str]:
    """Make three hundred names of compounds, all different, in a random order."""
    return dice.shuffled([first + last for first in COMPOUND_FIRST for last in COMPOUND_LAST])


def phone(number: int) -> str:
    """Make the telephone number of a made-up person; `number` is at most eight digits.

    Network 154 is one of those that the ministry's list of mobile network codes (工信部,
    我国公众移动通信网网号及H0分配情况, March 2023) gives to nobody, so no such number can ring
    anywhere. It has the form of a real one, and is masked like one.
    """
    # The factor has no divisor in common with 10^8: different people have different numbers.
    return f"154{number * 48_611 % 100_000_000:08d}"
