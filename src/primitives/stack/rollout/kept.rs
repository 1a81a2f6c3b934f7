//! Containers that a rollout has put aside until the whole stack is well.

/// Between the name that a container had and the rollout that keeps it. Labels cannot be changed, names can.
const KEPT: &str = ".kept.";

/// Whether a container is put aside: it stands for none of its service's.
pub fn is_kept(name: &str) -> bool {
    name.contains(KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_aside_is_known_by_its_name() {
        assert!(is_kept("shop-web-1.kept.0a1b2c"));
        for own in ["shop-web-1", "shop-web-1.next.0a1b2c", "shop-kept-1", "web.kept"] {
            assert!(!is_kept(own), "{own}");
        }
    }
}
