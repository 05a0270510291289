//! Rectangles on pixels.

use seekvl_vision::Rgb;

/// Pixels from `left` and `top` up to, not including, `right` and `bottom`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rect {
    pub left: i64,
    pub top: i64,
    pub right: i64,
    pub bottom: i64,
}

impl Rect {
    pub fn width(self) -> i64 {
        self.right - self.left
    }

    pub fn height(self) -> i64 {
        self.bottom - self.top
    }

    pub fn area(self) -> i64 {
        self.width().max(0) * self.height().max(0)
    }

    pub fn overlap(self, other: Self) -> Self {
        Self {
            left: self.left.max(other.left),
            top: self.top.max(other.top),
            right: self.right.min(other.right),
            bottom: self.bottom.min(other.bottom),
        }
    }

    pub fn grown(self, by: i64) -> Self {
        Self { left: self.left - by, top: self.top - by, right: self.right + by, bottom: self.bottom + by }
    }
}

/// A picture that is drawn on.
pub(super) struct Canvas {
    bounds: Rect,
    pixels: Vec<u8>,
}

impl Canvas {
    pub fn new(image: &Rgb) -> Self {
        let bounds = Rect { left: 0, top: 0, right: image.width().into(), bottom: image.height().into() };
        Self { bounds, pixels: image.pixels().to_vec() }
    }

    pub fn bounds(&self) -> Rect {
        self.bounds
    }

    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// Fills a rectangle, as far as it lies within the picture.
    pub fn fill(&mut self, rect: Rect, color: [u8; 3]) {
        let rect = rect.overlap(self.bounds);
        if rect.area() == 0 {
            return;
        }
        for y in rect.top..rect.bottom {
            let row = (y * self.bounds.right) as usize;
            let (from, to) = (row + rect.left as usize, row + rect.right as usize);
            self.pixels[3 * from..3 * to].as_chunks_mut().0.fill(color);
        }
    }

    /// Mixes `color` into a pixel, if it lies within the picture.
    pub fn blend(&mut self, x: i64, y: i64, color: [u8; 3], share: f32) {
        let inside = (0..self.bounds.right).contains(&x) && (0..self.bounds.bottom).contains(&y);
        if !inside {
            return;
        }
        let at = 3 * (y * self.bounds.right + x) as usize;
        for (level, wanted) in self.pixels[at..at + 3].iter_mut().zip(color) {
            let mixed = f32::from(*level) + (f32::from(wanted) - f32::from(*level)) * share.clamp(0.0, 1.0);
            *level = mixed.round() as u8;
        }
    }

    /// The outline of a box, within it, and a rim of black or white along both sides of the line.
    pub fn frame(&mut self, rect: Rect, line: i64, color: [u8; 3]) {
        let rim = (line / 4).max(1);
        self.outline(rect, line + 2 * rim, contrast(color));
        self.outline(rect.grown(-rim), line, color);
    }

    fn outline(&mut self, rect: Rect, line: i64, color: [u8; 3]) {
        let Rect { left, top, right, bottom } = rect;
        self.fill(Rect { bottom: (top + line).min(bottom), ..rect }, color);
        self.fill(Rect { top: (bottom - line).max(top), ..rect }, color);
        self.fill(Rect { right: (left + line).min(right), ..rect }, color);
        self.fill(Rect { left: (right - line).max(left), ..rect }, color);
    }
}

/// Black or white, whichever stands out more (relative luminance and contrast of WCAG 2).
pub(super) fn contrast(color: [u8; 3]) -> [u8; 3] {
    let linear = |level: u8| {
        let level = f64::from(level) / 255.0;
        if level <= 0.04045 { level / 12.92 } else { ((level + 0.055) / 1.055).powf(2.4) }
    };
    let [red, green, blue] = color.map(linear);
    let luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    // Where (1.05) / (luminance + 0.05) and (luminance + 0.05) / 0.05 are equal.
    if luminance > 0.179 { [0; 3] } else { [255; 3] }
}
