//! Prints which of Lambda's operations are built: the table that `cargo xtask coverage` puts into the README.

fn main() {
    print!("{}", lambkin_api::coverage());
}
