// Follows a submission without loading its page again. Without this the page loads itself again every ten seconds.
(() => {
  const every = 4000;
  const look = async () => {
    const here = document.getElementById("submission");
    if (!here || here.dataset.settled === "yes") return;
    try {
      const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
      if (answer.ok) {
        const news = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("submission");
        // What somebody opened, or stands on with the keyboard, stays as it is until there is news.
        const texts = [here, news].map((each) => each && each.textContent.replace(/\s+/g, " "));
        if (news && texts[0] !== texts[1]) here.replaceWith(news);
        else if (news) here.dataset.settled = news.dataset.settled;
      }
    } catch { /* the next time */ }
    setTimeout(look, every);
  };
  setTimeout(look, every);
})();
