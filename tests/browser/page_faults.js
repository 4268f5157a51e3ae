// The faults of a page as it is on the screen now: what is wider than the screen, and texts too near to their background.
// Arguments: the least contrast of text (WCAG 2, 1.4.3), and that of large text.
const [least, leastLarge] = arguments;
const canvas = Object.assign(document.createElement("canvas"), {width: 1, height: 1});
const pen = canvas.getContext("2d", {willReadFrequently: true});
const read = new Map();

function rgba(colour) {  // any CSS colour as red, green, blue and opacity in [0, 1]
  if (!read.has(colour)) {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    read.set(colour, [...pen.getImageData(0, 0, 1, 1).data].map(value => value / 255));
  }
  return read.get(colour);
}

function over([r, g, b, a], [R, G, B]) {
  return [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
}

const behind = new Map([[null, [1, 1, 1, 1]]]);

function background(element) {
  if (!behind.has(element)) {
    const colour = rgba(getComputedStyle(element).backgroundColor);
    behind.set(element, colour[3] === 1 ? colour : over(colour, background(element.parentElement)));
  }
  return behind.get(element);
}

function luminance(colour) {
  const [r, g, b] = colour.map(c => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a, b) {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

const faults = new Set();
if (document.scrollingElement.scrollWidth > document.documentElement.clientWidth) {
  faults.add(`${document.scrollingElement.scrollWidth} pixels wide`);
}
const judged = new Set();  // of elements alike the first is looked at
for (const element of document.body.querySelectorAll("*")) {
  const parent = element.parentElement;
  const kind = [element, parent, parent.parentElement].map(e => e && e.tagName + e.className).join("<");
  if (judged.has(kind) || ![...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())
      || !element.checkVisibility({opacityProperty: true, visibilityProperty: true})) {
    continue;
  }
  judged.add(kind);
  const style = getComputedStyle(element);
  const paper = background(element);
  const ratio = contrast(over(rgba(style.color), paper), paper);
  const size = parseFloat(style.fontSize);
  const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  if (ratio < (isLarge ? leastLarge : least)) {
    faults.add(`contrast ${ratio.toFixed(1)}: ${element.textContent.trim().slice(0, 40)} (${kind})`);
  }
}
return [...faults];
