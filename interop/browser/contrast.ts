/**
 * A JavaScript expression for a page: the texts on it whose contrast with what is behind them is below WCAG 2's
 * level AA (4.5:1, or 3:1 for large text), as `['text: ratio', ...]`. Sees plain colours only, no pictures or gradients.
 */
export const contrastProblems = `(() => {
  const paint = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  // The canvas reads whatever notation the browser reports a colour in.
  const read = (color) => {
    paint.clearRect(0, 0, 1, 1)
    paint.fillStyle = color
    paint.fillRect(0, 0, 1, 1)
    return [...paint.getImageData(0, 0, 1, 1).data]
  }
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = read(getComputedStyle(e).backgroundColor)
      if (color[3] === 255) return color
    }
    return [255, 255, 255, 255]
  }
  const luminance = ([r, g, b]) => {
    const linear = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4)
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
  }
  const problems = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim()
    const element = walker.currentNode.parentElement
    if (text === '' || !element.checkVisibility()) continue
    const style = getComputedStyle(element)
    const [a, b] = [luminance(read(style.color)), luminance(behind(element))]
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    const size = parseFloat(style.fontSize)
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700)
    if (ratio < (large ? 3 : 4.5)) problems.push(text + ': ' + ratio.toFixed(2))
  }
  return problems
})()`
