//! Files that appear whole or not at all.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file being written beside its final name. Dropped before [`OutputFile::commit`], it leaves
/// nothing behind and whatever stood under that name stays as it was.
#[derive(Debug)]
pub struct OutputFile {
    part: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl OutputFile {
    /// Begins a file that is to be `path`; its folder is made where there is none.
    pub fn create(path: &Path) -> io::Result<Self> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        fs_err::create_dir_all(folder)?;
        if path.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                "there is a folder of that name",
            ));
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".prebake-").suffix(".part");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // A temporary file is its owner's alone; an output is for everyone the umask allows.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let part = builder.tempfile_in(folder)?;
        Ok(Self {
            part: BufWriter::with_capacity(1 << 18, part),
            path: path.to_owned(),
        })
    }

    /// Puts the file under its name, with everything written to it on the disk first.
    pub fn commit(self) -> io::Result<()> {
        let part = self
            .part
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        part.as_file().sync_all()?;
        part.persist(&self.path).map_err(|error| error.error)?;
        sync_folder(&self.path)
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.part.flush()
    }
}

/// Makes a rename last through a power cut, where the system has a way to ask for it.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => fs_err::File::open(folder)?.sync_all(),
        _ => fs_err::File::open(".")?.sync_all(),
    }
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "its Unix twin can fail")]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appears_only_when_committed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/out.tar.gz");
        let mut file = OutputFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs_err::read_dir(path.parent().unwrap()).unwrap().count(), 0);
        let mut file = OutputFile::create(&path).unwrap();
        file.write_all(b"whole").unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"whole");
        assert_eq!(fs_err::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_in_the_way_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        OutputFile::create(folder.path()).unwrap_err();
    }
}
