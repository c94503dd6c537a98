"""Names of menus on pages of the web, in Chinese (simplified, traditional) and English."""

from __future__ import annotations

__all__ = ["MENU_NAMES"]

MENU_NAMES = frozenset((
    "首页", "首頁", "主页", "主頁", "网站首页", "返回首页", "回首頁", "返回顶部", "返回頂部", "回到顶部", "返回列表",
    "返回", "上一页", "上一頁", "下一页", "下一頁", "上一篇", "下一篇", "上一章", "下一章", "尾页", "末页", "登录",
    "登陆", "登入", "登錄", "注册", "註冊", "免费注册", "立即注册", "登录注册", "退出", "个人中心", "會員中心",
    "会员中心", "忘记密码", "找回密码", "收藏", "加入收藏", "收藏本站", "设为首页", "設為首頁", "关于我们",
    "關於我們", "联系我们", "聯絡我們", "聯繫我們", "联系方式", "网站地图", "網站地圖", "网站导航", "友情链接",
    "友情連結", "人才招聘", "加入我们", "广告服务", "意见反馈", "帮助中心", "客服中心", "在线客服", "相关推荐",
    "相关阅读", "相关文章", "相关新闻", "相关内容", "相关链接", "相關文章", "相關新聞", "猜你喜欢", "热门推荐",
    "热门文章", "热门标签", "推荐阅读", "推薦閱讀", "延伸阅读", "延伸閱讀", "最新文章", "最新资讯", "更多",
    "更多内容", "查看更多", "加载更多", "点击查看", "查看详情", "查看全文", "阅读全文", "阅读更多", "閱讀更多",
    "展开全部", "收起", "分享", "分享到", "转发", "评论", "发表评论", "我要评论", "点赞", "打印", "打印本页",
    "关闭窗口", "举报", "搜索", "搜尋", "隐私政策", "隱私政策", "隐私声明", "使用条款", "服务条款", "用户协议",
    "免责声明", "免責聲明", "法律声明", "版权声明", "版权所有", "版權所有", "手机版", "电脑版", "繁體", "简体",
    "english", "中文", "home", "home page", "login", "log in", "logout", "log out", "sign in", "sign up", "sign out",
    "register", "my account", "create account", "cart", "checkout", "search", "menu", "about", "about us", "contact",
    "contact us", "help", "faq", "faqs", "careers", "jobs", "advertise", "site map", "sitemap", "privacy",
    "privacy policy", "terms", "terms of use", "terms of service", "terms and conditions", "cookie policy", "cookies",
    "legal", "disclaimer", "skip to content", "skip to main content", "skip to navigation", "back to top", "top",
    "next", "previous", "prev", "next page", "previous page", "next post", "previous post", "read more", "more",
    "see more", "show more", "view all", "see all", "load more", "related posts", "related articles",
    "you may also like", "recommended", "share", "share this", "tweet", "like", "print", "email", "e-mail", "rss",
    "subscribe", "follow us", "comments", "leave a comment", "leave a reply", "post a comment", "reply", "report",
    "facebook", "twitter", "instagram", "youtube", "linkedin", "pinterest",
))  # fmt: skip
"""Names of menus, in lower case."""
