//! The cases, one module a group.

/// A table of cases: id, what is asked, what to do about a failure, the function.
macro_rules! cases {
    ($($id:literal, $about:literal, $remedy:literal, $run:ident;)*) => {
        pub(crate) const CASES: &[$crate::case::Case] = &[$(
            $crate::case::Case {
                id: $id,
                about: $about,
                remedy: $remedy,
                run: |bench| Box::pin($run(bench)),
            },
        )*];
    };
}

pub(crate) mod abi;
pub(crate) mod callback;
pub(crate) mod capture;
pub(crate) mod chaos;
pub(crate) mod config;
pub(crate) mod http;
pub(crate) mod leases;
pub(crate) mod lifecycle;
pub(crate) mod lookup;
pub(crate) mod panic;
pub(crate) mod perf;
pub(crate) mod secrets;
pub(crate) mod stream;
