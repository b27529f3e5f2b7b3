"""Every page, by a name and its address on the desk of a morning."""

PAGES = {
    "hits": "/",
    "hits-filtered": "/?rule=f35&since=7d",
    "hits-none": "/?mark=irrelevant&since=1h",
    "hit": "/hits/00001389",
    "rules": "/rules",
    "rule": "/rules/s400-turkey",
    "editor": "/rules/edit",
    "feeds": "/feeds",
    "feed": "/feeds/bloomquist",
    "feed-add": "/feeds/add",
    "alerts": "/alerts",
    "alert": "/alerts/d1",
    "search": "/search",
    "results": "/search?q=S-400",
    "story": "/stories/story-1",
    "silence": "/silences/add?hit=00001389",
    "status": "/status",
    "docs": "/api/docs",
}
