//! Transfer syntaxes: how the data set is encoded and what packs the pixels.

use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::element::Encoding;

/// How pixels are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// Not compressed, in one piece.
    Native,
    /// Not compressed, in fragments.
    EncapsulatedNative,
    /// RLE lossless.
    Rle,
    /// A codec of the transfer syntax registry: JPEG, JPEG-LS, JPEG 2000.
    Codec,
}

/// A transfer syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Syntax {
    /// UID, well-formed.
    pub uid: String,
    pub encoding: Encoding,
    /// Whether the data set is deflated as a whole.
    pub deflated: bool,
    pub packing: Packing,
}

impl Syntax {
    pub(super) fn from_uid(uid: &str) -> Syntax {
        let (encoding, deflated, packing) = match uid {
            "1.2.840.10008.1.2" => (Encoding::IMPLICIT_LE, false, Packing::Native),
            "1.2.840.10008.1.2.2" => (Encoding::EXPLICIT_BE, false, Packing::Native),
            "1.2.840.10008.1.2.1.99" => (Encoding::EXPLICIT_LE, true, Packing::Native),
            "1.2.840.10008.1.2.1" => (Encoding::EXPLICIT_LE, false, Packing::Native),
            "1.2.840.10008.1.2.1.98" => (Encoding::EXPLICIT_LE, false, Packing::EncapsulatedNative),
            "1.2.840.10008.1.2.5" => (Encoding::EXPLICIT_LE, false, Packing::Rle),
            // Every other syntax of the standard is explicit little endian (PS3.5, annex A).
            _ => (Encoding::EXPLICIT_LE, false, Packing::Codec),
        };
        Syntax {
            uid: uid.to_string(),
            encoding,
            deflated,
            packing,
        }
    }

    /// UID and name, for messages.
    pub(super) fn describe(&self) -> String {
        match TransferSyntaxRegistry.get(&self.uid) {
            Some(known) => format!("{} ({})", known.name(), self.uid),
            None => self.uid.clone(),
        }
    }

    /// Whether the codec always loses something.
    pub(super) fn is_lossy(&self) -> bool {
        matches!(
            self.uid.as_str(),
            "1.2.840.10008.1.2.4.50"
                | "1.2.840.10008.1.2.4.51"
                | "1.2.840.10008.1.2.4.53"
                | "1.2.840.10008.1.2.4.55"
                | "1.2.840.10008.1.2.4.81"
        )
    }
}
