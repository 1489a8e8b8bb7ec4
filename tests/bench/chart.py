# SPDX-License-Identifier: Apache-2.0
"""Charts as SVG, drawn by hand: bars on a logarithmic scale, and lines over a logarithmic x."""
import math
from xml.sax.saxutils import escape

GOOD, SHORT, PLAIN, INK, GRID = "#3b7a57", "#c8782a", "#7a8ca3", "#222222", "#dddddd"
FONT = 'font-family="sans-serif" font-size="12" fill="%s"' % INK


def text(x, y, what, anchor="start", extra=""):
    return '<text x="%.1f" y="%.1f" text-anchor="%s" %s %s>%s</text>' % (x, y, anchor, FONT, extra, escape(what))


def line(x1, y1, x2, y2, colour=INK, width=1.0, extra=""):
    return '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%.1f" %s/>' % (x1, y1, x2, y2, colour, width, extra)


def frame(width, height, parts):
    return ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">\n'
            '<rect width="100%%" height="100%%" fill="white"/>\n%s\n</svg>\n' % (width, height, width, height, "\n".join(parts)))


def bars(title, items, low=0.05, high=10.0):
    """items: (label, median, min, max, aim or None, reached or None). A bar each, a whisker, a tick at the aim."""
    left, wide, top, step = 330, 520, 60, 18
    def at(v):
        return left + wide * (math.log(min(max(v, low), high)) - math.log(low)) / (math.log(high) - math.log(low))
    bottom = top + step * len(items)
    parts = [text(10, 20, title, extra='font-weight="bold"'),
             text(10, 38, "bar: median; thin line: least to greatest; mark: what is aimed at (green reached, orange not)")]
    for v in (0.1, 0.2, 0.5, 1, 2, 5):
        parts += [line(at(v), top - 6, at(v), bottom, INK if v == 1 else GRID), text(at(v), bottom + 14, "%g" % v, "middle")]
    for i, (label, median, least, most, aim, reached) in enumerate(items):
        y = top + step * i
        colour = PLAIN if reached is None else GOOD if reached else SHORT
        x1, x2 = sorted((at(1), at(median)))
        parts += [text(left - 8, y + 12, label, "end"),
                  '<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s"/>' % (x1, y + 3, max(x2 - x1, 1), step - 6, colour),
                  line(at(least), y + step / 2, at(most), y + step / 2)]
        if aim:
            parts.append(line(at(aim), y + 1, at(aim), y + step - 1, INK, 3))
        parts.append(text(left + wide + 8, y + 12, "%.2f" % median + (" of %g" % aim if aim else "")))
    return frame(left + wide + 120, bottom + 24, parts)


COLOURS = ("#1f5f8b", "#c8782a", "#3b7a57", "#8b3a62", "#6b6b2f", "#555555")


def lines(title, panels):
    """panels: (name, unit, {series: [(x, y), …]}), each with its own y from 0; x is logarithmic."""
    width, high, gap, left = 760, 150, 56, 90
    xs = [x for _, _, series in panels for s in series.values() for x, _ in s]
    lo, hi = math.log10(min(xs)), math.log10(max(xs))
    parts, y0 = [text(10, 20, title, extra='font-weight="bold"')], 50
    for name, unit, series in panels:
        top = max(y for s in series.values() for _, y in s) * 1.1 or 1
        def at(x, y):
            return left + (width - left - 150) * (math.log10(x) - lo) / ((hi - lo) or 1), y0 + high * (1 - y / top)
        parts.append(text(10, y0 - 6, "%s (%s)" % (name, unit)))
        for v in (0, top / 2.2, top / 1.1):
            parts += [line(left, at(xs[0], v)[1], width - 150, at(xs[0], v)[1], GRID), text(left - 6, at(xs[0], v)[1] + 4, "%.3g" % v, "end")]
        for x in range(math.ceil(lo), math.floor(hi) + 1):
            parts.append(text(at(10 ** x, 0)[0], y0 + high + 16, "{:,}".format(10 ** x), "middle"))
        for i, (label, points) in enumerate(series.items()):
            colour, where = COLOURS[i % len(COLOURS)], [at(x, y) for x, y in points]
            parts.append('<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>' %
                         (colour, " ".join("%.1f,%.1f" % p for p in where)))
            parts += ['<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>' % (p[0], p[1], colour) for p in where]
            parts += ['<rect x="%d" y="%d" width="10" height="10" fill="%s"/>' % (width - 140, y0 + 16 * i, colour),
                      text(width - 126, y0 + 16 * i + 9, label)]
        y0 += high + gap
    return frame(width, y0, parts)
