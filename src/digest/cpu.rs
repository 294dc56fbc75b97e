//! Which code takes blocks in on this CPU: for each number of lanes the fastest.

use std::sync::LazyLock;

use super::block::{Block, State};
#[cfg(target_arch = "x86_64")]
use super::sha_ni::{SHA_NI, ShaNi};
#[cfg(target_arch = "x86_64")]
use super::wide::{Vectors, WIDE, Wide};

/// How many lanes may go side by side.
pub(super) const LANES: usize = 8;

/// The ways that this CPU has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cpu {
    /// For few lanes.
    narrow: Narrow,
    /// For many lanes.
    #[cfg(target_arch = "x86_64")]
    wide: Option<Wide>,
}

/// One or a few lanes at a time.
#[derive(Clone, Copy, Debug)]
enum Narrow {
    /// The `sha1` crate, one lane after the other.
    Crate,
    /// The SHA extensions, up to [`SHA_NI`] lanes side by side.
    #[cfg(target_arch = "x86_64")]
    ShaNi(ShaNi),
}

/// The blocks of one lane, and the state that they go into.
pub(super) type Taken<'t> = (&'t mut State, &'t [Block]);

impl Cpu {
    /// The best of this CPU.
    pub(super) fn here() -> Cpu {
        static HERE: LazyLock<Cpu> = LazyLock::new(Cpu::detect);
        *HERE
    }

    /// All that this CPU could do: what fewer features leave of it as well.
    #[cfg(all(test, target_arch = "x86_64"))]
    pub(super) fn every() -> Vec<Cpu> {
        let narrow = [Some(Narrow::Crate), ShaNi::detect().map(Narrow::ShaNi)];
        let wide = [None, Wide::with(Vectors::Avx2), Wide::with(Vectors::Avx512)];
        let with = |narrow| wide.map(|wide| Cpu { narrow, wide });
        narrow.into_iter().flatten().flat_map(with).collect()
    }

    /// All that this CPU could do.
    #[cfg(all(test, not(target_arch = "x86_64")))]
    pub(super) fn every() -> Vec<Cpu> {
        vec![Cpu::detect()]
    }

    #[cfg(target_arch = "x86_64")]
    fn detect() -> Cpu {
        let narrow = ShaNi::detect().map_or(Narrow::Crate, Narrow::ShaNi);
        Cpu { narrow, wide: Wide::detect() }
    }

    #[cfg(not(target_arch = "x86_64"))]
    const fn detect() -> Cpu {
        Cpu { narrow: Narrow::Crate }
    }

    /// Takes the same number of blocks into the state of each lane; `take` says which.
    ///
    /// # Panics
    /// There are more than [`LANES`] lanes, or they have different numbers of blocks.
    pub(super) fn compress<T>(self, lanes: &mut [T], take: impl for<'t> Fn(&'t mut T) -> Taken<'t>) {
        assert!(lanes.len() <= LANES, "there are {LANES} lanes");
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = self.wide.filter(|&wide| lanes.len() >= self.narrow.gives_way(wide)) {
            return compress_wide(wide, lanes, take);
        }
        self.narrow.compress(lanes, take);
    }
}

impl Narrow {
    /// From how many lanes on the wide way is faster.
    ///
    /// GB/s of one core (`cargo bench --bench hashing`, and a loop over [`Wide`]), Intel Xeon with AMX (model 167):
    /// the `sha1` crate 1.9; one to four lanes with the SHA extensions 2.1, 2.6, 2.7, 2.5; eight wide ones 5.6 with AVX-512
    /// and 3.4 with AVX2.
    /// Genoa: 4.6 with four lanes with the SHA extensions, 4.8 with sixteen wide ones (a prototype).
    #[cfg(target_arch = "x86_64")]
    const fn gives_way(self, wide: Wide) -> usize {
        match (self, wide.vectors()) {
            (Narrow::Crate, Vectors::Avx512) => 2,
            (Narrow::Crate, Vectors::Avx2) => 3,
            (Narrow::ShaNi(cpu), Vectors::Avx512) if cpu.has_fast_msg2() => 6,
            (Narrow::ShaNi(_), Vectors::Avx512) => 4,
            (Narrow::ShaNi(cpu), Vectors::Avx2) if cpu.has_fast_msg2() => usize::MAX,
            (Narrow::ShaNi(_), Vectors::Avx2) => 7,
        }
    }

    fn compress<T>(self, lanes: &mut [T], take: impl for<'t> Fn(&'t mut T) -> Taken<'t>) {
        match self {
            Narrow::Crate => {
                for lane in lanes {
                    let (state, blocks) = take(lane);
                    sha1::block_api::compress(state, blocks);
                }
            }
            #[cfg(target_arch = "x86_64")]
            Narrow::ShaNi(cpu) => {
                for lanes in lanes.chunks_mut(SHA_NI) {
                    const { assert!(SHA_NI == 4, "there is a case for every number of lanes") };
                    match lanes {
                        [] => {}
                        [a] => cpu.compress([take(a)]),
                        [a, b] => cpu.compress([take(a), take(b)]),
                        [a, b, c] => cpu.compress([take(a), take(b), take(c)]),
                        [a, b, c, d, ..] => cpu.compress([take(a), take(b), take(c), take(d)]),
                    }
                }
            }
        }
    }
}

/// Where there are fewer lanes than the vectors hold, the others do the work of the last one again, for nobody.
#[cfg(target_arch = "x86_64")]
fn compress_wide<T>(wide: Wide, lanes: &mut [T], take: impl for<'t> Fn(&'t mut T) -> Taken<'t>) {
    const { assert!(LANES == WIDE, "all lanes fit") };
    let mut nobodys = [State::default(); WIDE];
    let mut nobodys = nobodys.iter_mut();
    let mut taken = lanes.iter_mut().map(take);
    let mut last: &[Block] = &[];
    wide.compress(std::array::from_fn(|_| match taken.next() {
        Some((state, blocks)) => {
            last = blocks;
            (state, blocks)
        }
        None => (nobodys.next().expect("there are as many as lanes"), last),
    }));
}
