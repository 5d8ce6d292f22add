//! Writes every CRD into the folders that are given as arguments.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    for folder in env::args().skip(1) {
        for crd in payplane_crds::all() {
            let path = Path::new(&folder).join(payplane_crds::file_name(&crd));
            fs::write(path, payplane_crds::to_yaml(&crd)?)?;
        }
    }
    Ok(())
}
