//! Pictures.

use crate::error::{Doing, ImageError, exception};
use crate::fork;
use image::{ExtendedColorType, ImageEncoder, codecs::png};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use seekvl::boxes::Grounded;
use seekvl::draw::{self, DrawOptions};
use seekvl::{Conversion, DecodeLimits, DecodeOptions, PixelLayout, Rgb};
use std::path::PathBuf;
use std::sync::Arc;

/// A picture: a file, the content of one, or pixels. Files are read when their pixels are needed.
#[pyclass(frozen, module = "seekvl")]
pub struct Image {
    source: seekvl::Image,
    options: DecodeOptions,
}

impl Image {
    /// The pixels, decoded where they are not yet. To be called without the interpreter.
    pub fn pixels(&self) -> seekvl::Result<Arc<Rgb>> {
        self.source.load(&self.options)
    }

    /// What it is made of, and how that is decoded.
    pub fn source(&self) -> (seekvl::Image, DecodeOptions) {
        (self.source.clone(), self.options)
    }

    fn from_rgb(pixels: Arc<Rgb>) -> Self {
        Self { source: seekvl::Image::Pixels(pixels), options: DecodeOptions::default() }
    }

    /// The pixels, decoded without the interpreter.
    fn decoded(&self, py: Python<'_>) -> PyResult<Arc<Rgb>> {
        fork::check()?;
        py.detach(|| self.pixels()).map_err(|error| exception(py, &error, Doing::Answering))
    }
}

fn decode_options(as_stored: bool, max_pixels: Option<u64>, max_file_bytes: Option<u64>) -> DecodeOptions {
    let default = DecodeLimits::default();
    DecodeOptions {
        limits: DecodeLimits {
            max_file_bytes: max_file_bytes.unwrap_or(default.max_file_bytes),
            max_pixels: max_pixels.unwrap_or(default.max_pixels),
        },
        conversion: if as_stored { Conversion::AsStored } else { Conversion::AsSeen },
    }
}

#[pymethods]
impl Image {
    /// A file, which is read when its pixels are needed, and again each time.
    #[staticmethod]
    #[pyo3(signature = (path, *, as_stored=false, max_pixels=None, max_file_bytes=None))]
    fn from_path(path: PathBuf, as_stored: bool, max_pixels: Option<u64>, max_file_bytes: Option<u64>) -> Self {
        let options = decode_options(as_stored, max_pixels, max_file_bytes);
        Self { source: seekvl::Image::Path(path), options }
    }

    /// The content of an image file.
    #[staticmethod]
    #[pyo3(signature = (data, *, as_stored=false, max_pixels=None, max_file_bytes=None))]
    fn from_bytes(data: PyBackedBytes, as_stored: bool, max_pixels: Option<u64>, max_file_bytes: Option<u64>) -> Self {
        let options = decode_options(as_stored, max_pixels, max_file_bytes);
        Self { source: seekvl::Image::Bytes(Arc::from(&data[..])), options }
    }

    /// Pixels `[height, width, channels]`, 8 bits, row by row: 1 channel is grey, 3 are RGB, 4 RGBA, blended over white.
    #[staticmethod]
    fn from_pixels(py: Python<'_>, data: PyBackedBytes, width: u32, height: u32, channels: u8) -> PyResult<Self> {
        let layout = match channels {
            1 => PixelLayout::L8,
            3 => PixelLayout::Rgb8,
            4 => PixelLayout::Rgba8,
            _ => return Err(ImageError::new_err(format!("a picture has 1, 3 or 4 channels, not {channels}"))),
        };
        let pixels = py.detach(|| Rgb::from_raw(width, height, layout, data.to_vec()));
        let pixels = pixels.map_err(|error| exception(py, &error.into(), Doing::Answering))?;
        Ok(Self::from_rgb(Arc::new(pixels)))
    }

    /// Reads and decodes it now.
    fn load(&self, py: Python<'_>) -> PyResult<Self> {
        self.decoded(py).map(Self::from_rgb)
    }

    /// Width and height in pixels. Of a file only the header is read.
    #[getter]
    fn size(&self, py: Python<'_>) -> PyResult<(u32, u32)> {
        let size = py.detach(|| self.source.size(&self.options));
        size.map_err(|error| exception(py, &error, Doing::Answering))
    }

    /// Width in pixels.
    #[getter]
    fn width(&self, py: Python<'_>) -> PyResult<u32> {
        Ok(self.size(py)?.0)
    }

    /// Height in pixels.
    #[getter]
    fn height(&self, py: Python<'_>) -> PyResult<u32> {
        Ok(self.size(py)?.1)
    }

    /// The pixels, `[height, width, 3]`, row by row.
    fn tobytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.decoded(py)?.pixels()))
    }

    /// For `numpy.asarray` and `PIL.Image.fromarray`.
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let pixels = self.decoded(py)?;
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("shape", (pixels.height(), pixels.width(), 3))?;
        interface.set_item("typestr", "|u1")?;
        interface.set_item("data", PyBytes::new(py, pixels.pixels()))?;
        Ok(interface)
    }

    /// A PNG file of it.
    fn to_png<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let pixels = self.decoded(py)?;
        let encoded = py.detach(|| {
            let mut encoded = Vec::new();
            let encoder = png::PngEncoder::new(&mut encoded);
            encoder
                .write_image(pixels.pixels(), pixels.width(), pixels.height(), ExtendedColorType::Rgb8)
                .map(|()| encoded)
        });
        let encoded = encoded.map_err(|error| ImageError::new_err(format!("cannot encode the picture: {error}")))?;
        Ok(PyBytes::new(py, &encoded))
    }

    /// What a notebook shows.
    fn _repr_png_<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.to_png(py)
    }

    /// Writes it as PNG, JPEG, WebP, BMP, TIFF or GIF, as the path ends.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let pixels = self.decoded(py)?;
        py.detach(|| draw::save(&pixels, &path)).map_err(|error| exception(py, &error, Doing::Answering))
    }

    /// A copy with the boxes that an answer's markup points out.
    #[pyo3(signature = (raw, *, font_size=None, line_width=None, font=None))]
    fn draw(
        &self,
        py: Python<'_>,
        raw: &str,
        font_size: Option<f32>,
        line_width: Option<u32>,
        font: Option<Vec<u8>>,
    ) -> PyResult<Self> {
        let pixels = self.decoded(py)?;
        let options = DrawOptions { font_size, line_width, font };
        let drawn = py.detach(|| draw::draw(&pixels, &Grounded::parse(raw).regions, &options));
        let drawn = drawn.map_err(|error| exception(py, &error, Doing::Answering))?;
        Ok(Self::from_rgb(Arc::new(drawn)))
    }

    /// Files by their paths, everything else by its content.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (py, this) = (slf.py(), slf.get());
        let DecodeOptions { limits, conversion } = this.options;
        let options = (conversion == Conversion::AsStored, limits.max_pixels, limits.max_file_bytes);
        let restore = py.import("seekvl._images")?.getattr("restore")?;
        let arguments = match &this.source {
            seekvl::Image::Path(path) => ("path", path, options).into_pyobject(py)?,
            seekvl::Image::Bytes(bytes) => ("bytes", PyBytes::new(py, bytes), options).into_pyobject(py)?,
            seekvl::Image::Pixels(pixels) => {
                ("pixels", PyBytes::new(py, pixels.pixels()), (pixels.width(), pixels.height(), 3)).into_pyobject(py)?
            }
        };
        Ok((restore, arguments))
    }

    fn __repr__(&self) -> String {
        match &self.source {
            seekvl::Image::Path(path) => format!("Image({path:?})"),
            seekvl::Image::Bytes(bytes) => format!("Image(<{} bytes>)", bytes.len()),
            seekvl::Image::Pixels(pixels) => format!("Image({}x{})", pixels.width(), pixels.height()),
        }
    }
}
