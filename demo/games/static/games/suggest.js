// Titles of games while typing into the search box. Without it, or while search is away, the box works all the same.
const box = document.getElementById("search");
const list = document.getElementById("suggestions");
let timer;
let latest = 0;

async function suggest() {
  const mine = ++latest;
  try {
    const answer = await fetch(`${box.dataset.suggest}?q=${encodeURIComponent(box.value)}`);
    const { games } = await answer.json();
    if (mine === latest) {  // A slow answer doesn't take the place of a newer one.
      list.replaceChildren(...games.map((game) => new Option(game.title, game.title)));
    }
  } catch {
    list.replaceChildren();
  }
}

box.addEventListener("input", () => {
  clearTimeout(timer);
  if (box.value.trim().length > 1) timer = setTimeout(suggest, 200);
});
