//! Says when the binary must be built again: when the pages that it embeds have changed.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=web/dist");
}
