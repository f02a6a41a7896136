// A browser may keep a page whole for who goes back, whatever Cache-Control says: after a log-out it is not to be seen again.
addEventListener("pageshow", (e) => {
  if (e.persisted) {
    document.documentElement.hidden = true;
    location.reload();
  }
});
