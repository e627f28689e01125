//! `package FOLDER` packages the component of this build; `package --check` checks the dependencies.

use std::path::Path;

use anyhow::{Result, bail};
use package::{check, write};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--check"] => check().map(|report| print!("{report}")),
        [component, folder] => {
            for (file, bytes) in write(Path::new(component), Path::new(folder))? {
                println!("{file}  {bytes} B");
            }
            Ok(())
        }
        _ => bail!("usage: package COMPONENT FOLDER, or package --check"),
    }
}
