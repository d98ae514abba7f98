// The page looks at itself: texts that overlap, that are cut by their box or run out of the page, and texts whose colour is too near that of their ground.
document.querySelectorAll('details').forEach(e => e.open = true); // what is folded up is read too
const found = [];
const shown = e => (e.textContent || '').trim().slice(0, 40);
const scrolls = e => { for (; e && e !== document.body; e = e.parentElement) if (['auto', 'scroll'].includes(getComputedStyle(e).overflowX)) return true; return false };
// Of a text in a box that scrolls, what is in sight.
const visible = (rect, e) => {
  const r = {left: rect.left, right: rect.right, top: rect.top, bottom: rect.bottom};
  for (; e && e !== document.body; e = e.parentElement) if (['auto', 'scroll'].includes(getComputedStyle(e).overflowX)) {
    const b = e.getBoundingClientRect();
    r.left = Math.max(r.left, b.left); r.right = Math.min(r.right, b.right);
  }
  return r;
};
const texts = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node; node = walker.nextNode();) {
  const parent = node.parentElement;
  if (!node.data.trim() || ['STYLE', 'SCRIPT', 'TITLE', 'title', 'desc'].includes(parent.tagName)) continue;
  const style = getComputedStyle(parent);
  if (style.visibility === 'hidden' || style.display === 'none') continue;
  const range = document.createRange(); range.selectNodeContents(node);
  for (const rect of range.getClientRects()) {
    const r = visible(rect, parent);
    if (r.right - r.left > 0.5 && r.bottom - r.top > 0.5) texts.push({r, parent, text: node.data.trim().slice(0, 40)});
  }
}
for (const t of texts) {
  if (!scrolls(t.parent) && (t.r.right > innerWidth + 1 || t.r.left < -1)) found.push('out of the page: ' + t.text);
  const svg = t.parent.closest('svg');
  if (svg) { const b = svg.getBoundingClientRect(); if (t.r.left < b.left - 1 || t.r.right > b.right + 1 || t.r.top < b.top - 1 || t.r.bottom > b.bottom + 1) found.push('cut by the drawing: ' + t.text) }
}
for (const e of document.body.querySelectorAll('*')) {
  const style = getComputedStyle(e);
  if (style.overflowX === 'hidden' && e.scrollWidth > e.clientWidth + 1) found.push('cut: ' + shown(e));
}
for (let i = 0; i < texts.length; i++) for (let j = i + 1; j < texts.length; j++) {
  const a = texts[i].r, b = texts[j].r;
  const w = Math.min(a.right, b.right) - Math.max(a.left, b.left), h = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  if (w > 1 && h > 3) found.push('overlap: ' + texts[i].text + ' / ' + texts[j].text);
}
const rgb = s => (s.match(/[\d.]+/g) || []).map(Number);
const light = c => { const f = c.slice(0, 3).map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 }); return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2] };
const over = (top, below) => { const a = top[3] === undefined ? 1 : top[3]; return [0, 1, 2].map(i => top[i] * a + below[i] * (1 - a)) };
for (const t of texts) {
  let chain = [], alpha = 1;
  for (let e = t.parent; e; e = e.parentElement) { chain.push(rgb(getComputedStyle(e).backgroundColor)); alpha *= Number(getComputedStyle(e).opacity) }
  let ground = [255, 255, 255];
  for (const c of chain.reverse()) if (c.length) ground = over(c, ground);
  const own = getComputedStyle(t.parent);
  const ink = rgb(t.parent.closest('svg') && own.fill !== 'none' ? own.fill : own.color);
  const colour = over([ink[0], ink[1], ink[2], (ink[3] === undefined ? 1 : ink[3]) * alpha], ground);
  const [x, y] = [light(colour), light(ground)].sort((a, b) => b - a);
  if ((x + 0.05) / (y + 0.05) < 3) found.push('faint: ' + t.text);
}
document.body.setAttribute('data-found', JSON.stringify([...new Set(found)]));
