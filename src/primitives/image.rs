//! Pictures: how far two of them look different.
//!
//! It touches nothing, so it wants no permit; it computes for long, so it does that where it may block, a few at a time.

use std::io::Cursor;
use std::sync::Arc;

use png::{BitDepth, ColorType, Decoder, Encoder, Limits, Transformations};
use tokio::sync::Semaphore;

use crate::base::quantity::show_size;
use crate::base::{Fault, limits};

/// Of each pixel: red, green, blue, opacity.
const CHANNELS: usize = 4;
/// What differs, in the picture of the differences.
const MARK: [u8; 3] = [217, 45, 32];

/// The service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Images {
    slots: Arc<Semaphore>,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct CompareOptions {
    /// By how much a channel of a pixel may differ and still count as the same.
    pub tolerance: u8,
    /// Whether to draw the differences.
    pub diff: bool,
}

/// Where two pictures differ. What one has and the other has not differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub same_size: bool,
    pub pixels: u64,
    pub different: u64,
    /// The smallest rectangle with all differences; None without any.
    pub area: Option<Area>,
    /// The second picture, pale, with the differences in red, as PNG.
    pub diff: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
}

#[derive(Debug)]
struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Default for Images {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(limits::IMAGES_AT_ONCE_MAX)) }
    }
}

impl Images {
    /// Compares two PNGs.
    pub async fn compare(&self, first: Vec<u8>, second: Vec<u8>, options: CompareOptions) -> Result<Comparison, Fault> {
        let stopped = || Fault::new("image.stopped", "the daemon stops");
        let slot = self.slots.clone().acquire_owned().await.map_err(|_| stopped())?;
        let work = move || {
            let _slot = slot;
            compare(&read("first", &first)?, &read("second", &second)?, options)
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| stopped())?
    }
}

fn read(which: &str, data: &[u8]) -> Result<Picture, Fault> {
    if data.len() > limits::IMAGE_BYTES_MAX {
        let message = format!("the {which} picture has {}", show_size(data.len() as u64));
        return Err(Fault::new("image.too_large", message)
            .hint(format!("at most {}", show_size(limits::IMAGE_BYTES_MAX as u64))));
    }
    let bad = |problem: String| {
        Fault::new("image.not_png", format!("the {which} picture cannot be read: {problem}"))
            .hint("give the bytes of a PNG file, as aegis.fs.read and aegis.http give them")
    };
    let mut decoder =
        Decoder::new_with_limits(Cursor::new(data), Limits { bytes: limits::IMAGE_PIXELS_MAX * CHANNELS });
    decoder.set_transformations(Transformations::normalize_to_color8() | Transformations::ALPHA);
    let mut reader = decoder.read_info().map_err(|problem| bad(problem.to_string()))?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    let count = width.saturating_mul(height);
    if count > limits::IMAGE_PIXELS_MAX {
        let message = format!("the {which} picture has {width} × {height} pixels");
        return Err(Fault::new("image.too_large", message).hint(format!("at most {} in all", limits::IMAGE_PIXELS_MAX)));
    }
    let mut raw = vec![0; reader.output_buffer_size().ok_or_else(|| bad("its size".into()))?];
    let frame = reader.next_frame(&mut raw).map_err(|problem| bad(problem.to_string()))?;
    raw.truncate(frame.buffer_size());
    let pixels = match frame.color_type {
        ColorType::Rgba => raw,
        ColorType::GrayscaleAlpha => {
            raw.chunks_exact(2).flat_map(|pixel| [pixel[0], pixel[0], pixel[0], pixel[1]]).collect()
        }
        other => return Err(bad(format!("its colours are {other:?}"))),
    };
    Ok(Picture { width, height, pixels })
}

impl Picture {
    fn pixel(&self, column: usize, row: usize) -> Option<&[u8]> {
        if column >= self.width {
            return None;
        }
        let start = (row * self.width + column) * CHANNELS;
        self.pixels.get(start..start + CHANNELS)
    }
}

fn compare(first: &Picture, second: &Picture, options: CompareOptions) -> Result<Comparison, Fault> {
    let (width, height) = (first.width.max(second.width), first.height.max(second.height));
    // Each is within the bound; one that is wide and one that is high are not together.
    if options.diff && width.saturating_mul(height) > limits::IMAGE_PIXELS_MAX {
        let message = format!("the picture of the differences would have {width} × {height} pixels");
        return Err(Fault::new("image.too_large", message).hint("compare without diff"));
    }
    let mut drawn = Vec::with_capacity(if options.diff { width * height * MARK.len() } else { 0 });
    let (mut different, mut bounds) = (0, None::<[usize; 4]>);
    for row in 0..height {
        for column in 0..width {
            let (one, other) = (first.pixel(column, row), second.pixel(column, row));
            let differs = !alike(one, other, options.tolerance);
            if differs {
                different += 1;
                let [left, top, right, bottom] = bounds.unwrap_or([column, row, column, row]);
                bounds = Some([left.min(column), top.min(row), right.max(column), bottom.max(row)]);
            }
            if options.diff {
                drawn.extend(if differs { MARK } else { pale(other) });
            }
        }
    }
    let area =
        bounds.map(|[left, top, right, bottom]| Area { left, top, width: right - left + 1, height: bottom - top + 1 });
    Ok(Comparison {
        same_size: (first.width, first.height) == (second.width, second.height),
        pixels: (width * height) as u64,
        different,
        area,
        diff: options.diff.then(|| written(width, height, &drawn)).transpose()?,
    })
}

fn alike(one: Option<&[u8]>, other: Option<&[u8]>, tolerance: u8) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.iter().zip(other).all(|(a, b)| a.abs_diff(*b) <= tolerance),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// A quarter of its brightness' distance to white.
fn pale(pixel: Option<&[u8]>) -> [u8; 3] {
    let grey = pixel.map_or(255, |pixel| pixel.iter().take(3).map(|value| u16::from(*value)).sum::<u16>() / 3);
    let value = 255 - (255 - grey.min(255)) / 4;
    [u8::try_from(value).unwrap_or(u8::MAX); 3]
}

fn written(width: usize, height: usize, pixels: &[u8]) -> Result<Vec<u8>, Fault> {
    let bad = |problem: png::EncodingError| Fault::new("image.not_written", problem.to_string());
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, side(width), side(height));
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(bad)?;
    writer.write_image_data(pixels).map_err(bad)?;
    writer.finish().map_err(bad)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A white picture with one grey spot.
    fn picture(width: usize, height: usize, spot: Option<(usize, usize, u8)>) -> Vec<u8> {
        let mut pixels = vec![255; width * height * MARK.len()];
        if let Some((column, row, value)) = spot {
            let start = (row * width + column) * MARK.len();
            pixels[start..start + MARK.len()].fill(value);
        }
        written(width, height, &pixels).expect("it is written")
    }

    async fn compared(first: Vec<u8>, second: Vec<u8>, options: CompareOptions) -> Comparison {
        Images::default().compare(first, second, options).await.expect("they are compared")
    }

    #[tokio::test]
    async fn what_differs_is_counted_framed_and_drawn() {
        let options = CompareOptions { diff: true, ..CompareOptions::default() };
        let found = compared(picture(8, 4, None), picture(8, 4, Some((5, 2, 0))), options).await;
        assert_eq!((found.same_size, found.pixels, found.different), (true, 32, 1));
        assert_eq!(found.area, Some(Area { left: 5, top: 2, width: 1, height: 1 }));
        let drawn = read("drawn", &found.diff.expect("a picture")).expect("it can be read");
        assert_eq!(drawn.pixel(5, 2), Some(&[MARK[0], MARK[1], MARK[2], 255][..]));
        assert_eq!(drawn.pixel(0, 0), Some(&[255; 4][..]));
        let same = compared(picture(8, 4, None), picture(8, 4, None), CompareOptions::default()).await;
        assert_eq!((same.different, same.area, same.diff), (0, None, None));
    }

    #[tokio::test]
    async fn a_little_may_be_tolerated() {
        let (white, grey) = (picture(4, 4, None), picture(4, 4, Some((0, 0, 250))));
        for (tolerance, different) in [(4, 1), (5, 0)] {
            let options = CompareOptions { tolerance, ..CompareOptions::default() };
            assert_eq!(compared(white.clone(), grey.clone(), options).await.different, different);
        }
    }

    #[tokio::test]
    async fn what_one_has_and_the_other_has_not_differs() {
        let found = compared(picture(4, 4, None), picture(6, 4, None), CompareOptions::default()).await;
        assert_eq!((found.same_size, found.pixels, found.different), (false, 24, 8));
        assert_eq!(found.area, Some(Area { left: 4, top: 0, width: 2, height: 4 }));
        let (wide, high) = (picture(6, 2, None), picture(2, 6, None));
        assert_eq!(compared(wide, high, CompareOptions::default()).await.different, 2 * (12 - 4));
    }

    #[tokio::test]
    async fn what_is_no_picture_or_too_large_is_refused() {
        let small = picture(2, 2, None);
        let mut vast = picture(2, 2, None);
        // The width stands in the header, behind the signature, a length and the word IHDR.
        vast[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
        vast[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
        let header_sum = crc32(&vast[12..29]);
        vast[29..33].copy_from_slice(&header_sum.to_be_bytes());
        let long = vec![0; limits::IMAGE_BYTES_MAX + 1];
        for (bad, code) in [
            (b"not a picture".to_vec(), "image.not_png"),
            (small[..40].to_vec(), "image.not_png"),
            (vast, "image.too_large"),
            (long, "image.too_large"),
        ] {
            let images = Images::default();
            let refused = images.compare(small.clone(), bad, CompareOptions::default()).await.expect_err("refused");
            assert_eq!(refused.code, code, "{refused}");
            assert!(refused.message.contains("second"), "{refused}");
        }
        assert_eq!(Images::default().slots.available_permits(), limits::IMAGES_AT_ONCE_MAX);
    }

    /// As PNG has it.
    fn crc32(data: &[u8]) -> u32 {
        let mut sum = u32::MAX;
        for byte in data {
            sum ^= u32::from(*byte);
            for _ in 0..8 {
                sum = if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 };
            }
        }
        !sum
    }
}
