//! What a library file says about itself, read as bytes: none of its code runs.

use std::fs;
use std::io;
use std::path::Path;

use gantry_plugin_api::abi::{ENTRY_SYMBOL, FLAG_PANIC_UNWIND, Header, MAGIC, SECTION};
use object::elf::{EM_AARCH64, EM_X86_64, ET_DYN, FileHeader64, Machine, PT_INTERP};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, FileKind, Object, ObjectSection, ObjectSymbol};
use sha2::{Digest, Sha256};

use crate::glibc::Glibc;
use crate::inspected::{Inspected, LibraryFile};
use crate::refusal::Refusal;

#[cfg(target_arch = "x86_64")]
const MACHINE: (Machine, &str) = (EM_X86_64, "x86_64");
#[cfg(target_arch = "aarch64")]
const MACHINE: (Machine, &str) = (EM_AARCH64, "aarch64");

/// Reads a whole file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    fs::read(path).map_err(|source: io::Error| Refusal::Read { path: path.to_owned(), source })
}

/// The hash of bytes, in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // writing to a string cannot fail
        hex
    })
}

/// Reads what a file says, its hash included.
pub(crate) fn inspect(path: &Path, bytes: &[u8]) -> Result<Inspected, Refusal> {
    Ok(Inspected { sha256: sha256(bytes), ..inspect_unhashed(path, bytes)? })
}

/// Reads what a file says whose hash is known, and left empty here.
pub(crate) fn inspect_unhashed(path: &Path, bytes: &[u8]) -> Result<Inspected, Refusal> {
    complete_library(path, bytes)?;
    let unreadable = |error: object::Error| Refusal::NotLibrary {
        path: path.to_owned(),
        what: format!("a damaged one ({error})"),
    };
    let file = ElfFile64::<Endianness>::parse(bytes).map_err(unreadable)?;
    let section = file
        .section_by_name(SECTION)
        .ok_or_else(|| Refusal::NoManifest { path: path.to_owned(), section: SECTION })?;
    let said = inspect_section(path, section.data().map_err(unreadable)?)?;
    let has_entry = file
        .dynamic_symbols()
        .any(|symbol| symbol.is_definition() && symbol.name() == Ok(ENTRY_SYMBOL));
    let glibc = needed_glibc(&file).map_err(unreadable)?.map(|version| version.to_string());
    let library = said.library.map(|library| LibraryFile { glibc, has_entry, ..library });
    Ok(Inspected { len: bytes.len() as u64, library, ..said })
}

/// Reads what a section says; about the file it stands in, nothing is known yet.
pub(crate) fn inspect_section(path: &Path, section: &[u8]) -> Result<Inspected, Refusal> {
    let (header, manifest) = split(path, section)?;
    let bad = |reason: String| Refusal::BadManifest { path: path.to_owned(), reason };
    let manifest = serde_json::from_slice(manifest).map_err(|error| bad(error.to_string()))?;
    let library = LibraryFile {
        abi: (header.abi_min, header.abi_max),
        panic_unwind: header.flags & FLAG_PANIC_UNWIND != 0,
        glibc: None,
        features_required: header.features_required,
        has_entry: true,
    };
    let (path, library) = (path.to_owned(), Some(library));
    Ok(Inspected { path, sha256: String::new(), len: 0, manifest, library })
}

/// Header and manifest of a section or of the same bytes in memory.
pub(crate) fn split<'b>(path: &Path, bytes: &'b [u8]) -> Result<(Header, &'b [u8]), Refusal> {
    let bad = |reason: &str| Refusal::BadManifest { path: path.to_owned(), reason: reason.into() };
    let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
    if !bytes.starts_with(&MAGIC) {
        return Err(Refusal::Magic {
            path: path.to_owned(),
            expected: shown(&MAGIC),
            found: shown(bytes.get(..MAGIC.len()).unwrap_or(bytes)),
        });
    }
    let header = Header::read(bytes).ok_or_else(|| bad("section is shorter than its header"))?;
    if (header.size as usize) < size_of::<Header>() {
        return Err(bad("header is smaller than that of version 1.0"));
    }
    let begin = header.size as usize;
    let manifest = usize::try_from(header.manifest_len)
        .ok()
        .and_then(|len| bytes.get(begin..begin.checked_add(len)?))
        .ok_or_else(|| bad("section is shorter than its manifest"))?;
    Ok((header, manifest))
}

/// Checks that the bytes are a whole shared library for this machine.
fn complete_library(path: &Path, bytes: &[u8]) -> Result<(), Refusal> {
    let not = |what: &str| Refusal::NotLibrary { path: path.to_owned(), what: what.to_owned() };
    let truncated = |expected: u64| Refusal::Truncated {
        path: path.to_owned(),
        expected,
        len: bytes.len() as u64,
    };
    if bytes.is_empty() {
        return Err(not("an empty file"));
    }
    if !bytes.starts_with(b"\x7fELF") {
        let what = FileKind::parse(bytes).map_or("no object file".into(), |k| format!("{k:?}"));
        return Err(not(&what));
    }
    if bytes.len() < size_of::<FileHeader64<Endianness>>() {
        return Err(truncated(size_of::<FileHeader64<Endianness>>() as u64));
    }
    let header = FileHeader64::<Endianness>::parse(bytes).map_err(|_| not("no 64-bit ELF file"))?;
    let endian = header.endian().map_err(|_| not("an ELF file of unknown byte order"))?;
    let machine = header.e_machine(endian);
    if machine != MACHINE.0 {
        let plugin = match machine {
            EM_X86_64 => "x86_64".to_owned(),
            EM_AARCH64 => "aarch64".to_owned(),
            other => format!("ELF machine {other:?}"),
        };
        return Err(Refusal::Machine { path: path.to_owned(), host: MACHINE.1, plugin });
    }
    if header.e_type(endian) != ET_DYN {
        return Err(not("an ELF file, but no shared library"));
    }
    // The table of sections stands at the end of the file, so it is the first to be missing.
    let n_sections = u64::from(header.e_shnum(endian));
    let len = n_sections * u64::from(header.e_shentsize(endian));
    let end = header.e_shoff(endian).saturating_add(len);
    if end > bytes.len() as u64 {
        return Err(truncated(end));
    }
    let segments =
        header.program_headers(endian, bytes).map_err(|_| not("an ELF file without segments"))?;
    for segment in segments {
        let end = segment.p_offset(endian).saturating_add(segment.p_filesz(endian));
        if end > bytes.len() as u64 {
            return Err(truncated(end));
        }
        if segment.p_type(endian) == PT_INTERP {
            return Err(not("a program"));
        }
    }
    Ok(())
}

/// The newest glibc that the file asks for.
fn needed_glibc(file: &ElfFile64<'_, Endianness>) -> Result<Option<Glibc>, object::Error> {
    let endian = file.endian();
    let sections = file.elf_section_table();
    let Some((mut needs, link)) = sections.gnu_verneed(endian, file.data())? else {
        return Ok(None);
    };
    let strings = sections.strings(endian, file.data(), link)?;
    let mut newest = None;
    while let Some((_, mut versions)) = needs.next()? {
        while let Some(version) = versions.next()? {
            let name = String::from_utf8_lossy(version.name(endian, strings)?);
            newest = newest.max(Glibc::from_need(&name));
        }
    }
    Ok(newest)
}
