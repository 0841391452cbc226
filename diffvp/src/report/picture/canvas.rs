//! An RGB image that can be drawn on and written as PNG.

use std::path::Path;

use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::{FONT_7X13, FONT_9X15_BOLD};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::text::{Alignment, Text};

use crate::Result;
use crate::files::write_atomic;

/// An RGB image, rows from top to bottom.
pub(super) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

/// Size of a text.
#[derive(Clone, Copy)]
pub(super) enum Size {
    Small,
    Bold,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Canvas { width, height, pixels: vec![[0; 3]; width * height] }
    }

    /// Draws a picture with its upper left corner at (x, y); what lies outside is cut off.
    pub(super) fn blit(&mut self, x: usize, y: usize, width: usize, pixels: &[[u8; 3]]) {
        for (row, line) in pixels.chunks_exact(width).enumerate() {
            for (column, pixel) in line.iter().enumerate() {
                self.set(x + column, y + row, *pixel);
            }
        }
    }

    pub(super) fn set(&mut self, x: usize, y: usize, pixel: [u8; 3]) {
        if x < self.width && y < self.height {
            self.pixels[y * self.width + x] = pixel;
        }
    }

    /// Writes a line of text; `y` is its baseline.
    pub(super) fn text(&mut self, text: &str, x: usize, y: usize, size: Size, color: [u8; 3], alignment: Alignment) {
        let font = match size {
            Size::Small => &FONT_7X13,
            Size::Bold => &FONT_9X15_BOLD,
        };
        let style = MonoTextStyle::new(font, Rgb888::new(color[0], color[1], color[2]));
        let at = Point::new(x as i32, y as i32);
        // Drawing on a canvas in memory does not fail.
        let _ = Text::with_alignment(text, at, style, alignment).draw(self);
    }

    pub(super) fn write_png(&self, path: &Path) -> Result<()> {
        write_atomic(path, |file| {
            let mut encoder = png::Encoder::new(file, self.width as u32, self.height as u32);
            encoder.set_color(png::ColorType::Rgb);
            encoder.set_depth(png::BitDepth::Eight);
            let mut writer = encoder.write_header().map_err(std::io::Error::other)?;
            writer.write_image_data(self.pixels.as_flattened()).map_err(std::io::Error::other)?;
            writer.finish().map_err(std::io::Error::other)
        })
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> embedded_graphics::geometry::Size {
        embedded_graphics::geometry::Size::new(self.width as u32, self.height as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> std::result::Result<(), Self::Error> {
        for Pixel(point, color) in pixels {
            if let (Ok(x), Ok(y)) = (usize::try_from(point.x), usize::try_from(point.y)) {
                self.set(x, y, [color.r(), color.g(), color.b()]);
            }
        }
        Ok(())
    }
}
