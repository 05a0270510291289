//! Labels: cut to length, placed, and drawn.

use super::canvas::{Canvas, Rect, contrast};
use ab_glyph::{Font, FontRef, Glyph, GlyphId, PxScale, ScaleFont, point};

/// Beyond so many labels, new ones no longer look for room.
const MAX_SPREAD: usize = 500;

/// The widest label, as a share of the picture's width.
const MAX_WIDTH: f32 = 0.6;

/// A label that looks for a place.
pub(super) struct Label<'a> {
    pub text: &'a str,
    /// The box that it belongs to.
    pub anchor: Rect,
    pub color: [u8; 3],
}

/// A label at its place.
pub(super) struct Placed {
    rect: Rect,
    color: [u8; 3],
    glyphs: Vec<Glyph>,
}

/// Finds places for labels, one after the other.
pub(super) struct Labels<'a> {
    bounds: Rect,
    font: &'a FontRef<'a>,
    scale: PxScale,
    padding: f32,
    placed: Vec<Placed>,
}

impl<'a> Labels<'a> {
    pub fn new(canvas: &Canvas, font: &'a FontRef<'a>, size: f32) -> Self {
        Self {
            bounds: canvas.bounds(),
            font,
            scale: PxScale::from(size * 1.15),
            padding: (size * 0.18).max(1.0),
            placed: Vec::new(),
        }
    }

    pub fn place(&mut self, label: Label<'_>) {
        let picture = self.bounds.width() as f32;
        // In a narrow picture a label may be as wide as it.
        let widest = (picture * MAX_WIDTH).max(picture.min(120.0));
        let (mut glyphs, text_width) = self.lay_out(label.text, widest - 2.0 * self.padding);
        if glyphs.is_empty() {
            return;
        }
        let width = (text_width + 2.0 * self.padding).ceil() as i64;
        let height = (self.font.as_scaled(self.scale).height() + self.padding).ceil() as i64;
        let rect = self.find_room(label.anchor, width, height);
        let baseline = self.font.as_scaled(self.scale).ascent() + self.padding / 2.0;
        for glyph in &mut glyphs {
            glyph.position += point(rect.left as f32 + self.padding, rect.top as f32 + baseline);
        }
        self.placed.push(Placed { rect, color: label.color, glyphs });
    }

    pub fn finish(self) -> Vec<Placed> {
        self.placed
    }

    /// Glyphs in a row from 0, and their width; cut with an ellipsis where they are wider than `limit`.
    fn lay_out(&self, text: &str, limit: f32) -> (Vec<Glyph>, f32) {
        let font = self.font.as_scaled(self.scale);
        let (ellipsis, unknown) = (font.glyph_id('…'), font.glyph_id('□'));
        let reserve = font.h_advance(ellipsis);
        let (mut glyphs, mut width) = (Vec::new(), 0.0_f32);
        // How many glyphs, and how much of the width, leave room for the ellipsis.
        let mut fitting = (0, 0.0);
        for character in text.chars() {
            let shown = if character.is_whitespace() || character.is_control() { ' ' } else { character };
            let id = match font.glyph_id(shown) {
                GlyphId(0) => unknown,
                id => id,
            };
            if width + font.h_advance(id) > limit {
                glyphs.truncate(fitting.0);
                glyphs.push(ellipsis.with_scale_and_position(self.scale, point(fitting.1, 0.0)));
                return (glyphs, fitting.1 + reserve);
            }
            glyphs.push(id.with_scale_and_position(self.scale, point(width, 0.0)));
            width += font.h_advance(id);
            if width + reserve <= limit {
                fitting = (glyphs.len(), width);
            }
        }
        (glyphs, width)
    }

    /// The place nearest to the usual one, above the box's left corner, that covers least of other labels.
    fn find_room(&self, anchor: Rect, width: i64, height: i64) -> Rect {
        let Rect { left, top, right, bottom } = anchor;
        let places = [
            (left, top - height),
            (left, top),
            (left, bottom),
            (right - width, top - height),
            (right - width, top),
            (right - width, bottom),
            (left, bottom - height),
            (right - width, bottom - height),
        ];
        let inside = |x: i64, y: i64| {
            // The left and the upper edge win where the label is larger than the picture.
            let left = x.min(self.bounds.right - width).max(0);
            let top = y.min(self.bounds.bottom - height).max(0);
            Rect { left, top, right: left + width, bottom: top + height }
        };
        let others = if self.placed.len() < MAX_SPREAD { &self.placed[..] } else { &[] };
        let covered = |rect: Rect| others.iter().map(|other| rect.overlap(other.rect).area()).sum::<i64>();
        let (mut best, mut least) = (inside(left, top - height), i64::MAX);
        for (x, y) in places {
            // A place that had to be moved up or down covers the box anyway; those on the list that fit come first.
            let rect = inside(x, y);
            let moved = if rect.top == y { 0 } else { 1 };
            let cost = 2 * covered(rect) + moved;
            if cost < least {
                (best, least) = (rect, cost);
            }
        }
        best
    }
}

impl Placed {
    pub fn draw(&self, canvas: &mut Canvas, font: &FontRef<'_>) {
        let ink = contrast(self.color);
        canvas.fill(self.rect.grown(1), ink);
        canvas.fill(self.rect, self.color);
        for glyph in &self.glyphs {
            if let Some(outline) = font.outline_glyph(glyph.clone()) {
                let corner = outline.px_bounds().min;
                outline.draw(|x, y, share| {
                    canvas.blend(corner.x as i64 + i64::from(x), corner.y as i64 + i64::from(y), ink, share);
                });
            }
        }
    }
}
