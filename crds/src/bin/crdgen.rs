//! Writes every CRD into the folders that are given as arguments, and the table of kinds into pages (`*.md`) among them.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    for folder in env::args().skip(1) {
        if Path::new(&folder).extension().is_some_and(|extension| extension == "md") {
            let page = fs::read_to_string(&folder)?;
            let page = payplane_crds::conventions::with_table(&page, &payplane_crds::all());
            fs::write(&folder, page.ok_or("the page has no place for the table")?)?;
            continue;
        }
        for crd in payplane_crds::all() {
            let path = Path::new(&folder).join(payplane_crds::file_name(&crd));
            fs::write(path, payplane_crds::to_yaml(&crd)?)?;
        }
    }
    Ok(())
}
