//! How long swarms of growing size take, as a table and as curves.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use orchestra::sim::efficiency::{self, Speeds};
use orchestra::sim::{Stopwatch, World};

/// How many get, if nobody says so.
const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// One step of so many is measured: looking at the clock costs as much as a step.
const EVERY: u64 = 64;

/// One run.
struct Point {
    speeds: Speeds,
    members: usize,
    bound: Duration,
    hops: Duration,
    took: Duration,
    shared: f64,
    steps: u64,
    step: Duration,
    real: Duration,
}

impl Point {
    fn ratio(&self) -> f64 {
        self.took.as_secs_f64() / self.bound.as_secs_f64()
    }

    /// What is aimed at: 1.15 times the bound, and the hops.
    fn goal(&self) -> Duration {
        self.bound.mul_f64(1.15) + self.hops
    }
}

/// Runs and prints all of it.
pub(crate) fn run(members: &[usize], seed: u64, svg: Option<&Path>) -> ExitCode {
    let sizes = if members.is_empty() { &SIZES } else { members };
    println!(
        "| speeds | members | bound | hops | took | of the bound | goal | sharer sent | steps | a step |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut points = Vec::new();
    for speeds in [Speeds::Equal, Speeds::Mixed] {
        for &members in sizes {
            match play(members, speeds, seed) {
                Ok(point) => {
                    show(&point);
                    points.push(point);
                }
                Err(wrong) => {
                    println!("{members} members, {speeds:?}: {wrong}");
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    if let Some(path) = svg
        && let Err(error) = fs::write(path, drawn(&points))
    {
        println!("cannot write {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn play(members: usize, speeds: Speeds, seed: u64) -> Result<Point, String> {
    let plan = efficiency::plan(members, speeds, seed);
    let (bound, hops, size) = (efficiency::bound(&plan), efficiency::hops(&plan), plan.layout.size());
    let sum = Rc::new(Cell::new((0, Duration::ZERO)));
    let mut world = World::new(plan);
    world.measure(Box::new(Sampler { sum: Rc::clone(&sum), steps: 0, begun: None }));
    let begun = Instant::now();
    let report = world.run();
    if let Some(wrong) = report.wrong {
        return Err(wrong);
    }
    let took = report.finished.iter().flatten().max().copied().unwrap_or_default();
    let (samples, time) = sum.get();
    Ok(Point {
        speeds,
        members,
        bound,
        hops,
        took,
        shared: report.sent[0] as f64 / size as f64,
        steps: report.steps,
        step: time / samples.max(1),
        real: begun.elapsed(),
    })
}

fn show(point: &Point) {
    println!(
        "| {:?} | {} | {:.1} s | {:.1} s | {:.1} s | {:.2} | {} | {:.2} | {} | {:.2?} |",
        point.speeds,
        point.members,
        point.bound.as_secs_f64(),
        point.hops.as_secs_f64(),
        point.took.as_secs_f64(),
        point.ratio(),
        if point.took <= point.goal() { "met" } else { "missed" },
        point.shared,
        point.steps,
        point.step,
    );
    eprintln!("    ({:.0?} of real time)", point.real);
}

/// Measures some of the steps.
struct Sampler {
    sum: Rc<Cell<(u32, Duration)>>,
    steps: u64,
    begun: Option<Instant>,
}

impl Stopwatch for Sampler {
    fn begin(&mut self) {
        self.steps += 1;
        self.begun = self.steps.is_multiple_of(EVERY).then(Instant::now);
    }

    fn end(&mut self) {
        if let Some(begun) = self.begun {
            let (samples, time) = self.sum.get();
            self.sum.set((samples + 1, time + begun.elapsed()));
        }
    }
}

/// The curves as SVG: time over bound, and the cost of a step, against the number of members.
fn drawn(points: &[Point]) -> String {
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 300\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"720\" height=\"300\" fill=\"white\"/>\n",
    );
    let ratio = |point: &Point| point.ratio();
    let step = |point: &Point| point.step.as_secs_f64() * 1e6;
    svg += &panel(points, 0.0, "time / fluid bound", &ratio, 1.0);
    svg += &panel(points, 360.0, "cost of a step, µs", &step, 0.0);
    svg + "</svg>\n"
}

/// One panel of 360 × 300, from `left` on.
fn panel(points: &[Point], left: f64, title: &str, value: &dyn Fn(&Point) -> f64, floor: f64) -> String {
    let top = points.iter().map(value).fold(floor + 0.1, f64::max) * 1.05;
    let x = |members: usize| left + 50.0 + ((members as f64).log10() - 1.0) / 3.0 * 280.0;
    let y = |value: f64| 260.0 - (value - floor) / (top - floor) * 210.0;
    let mut svg = format!("<text x=\"{}\" y=\"25\">{title}</text>\n", left + 50.0);
    for share in 0..=4 {
        let at = floor + (top - floor) * f64::from(share) / 4.0;
        svg += &format!(
            "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1}\" y2=\"{2:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{3}\" y=\"{4:.1}\" text-anchor=\"end\">{at:.2}</text>\n",
            left + 50.0,
            left + 330.0,
            y(at),
            left + 44.0,
            y(at) + 4.0,
        );
    }
    for (speeds, colour, row) in [(Speeds::Equal, "#0057b7", 0.0), (Speeds::Mixed, "#c8500a", 1.0)] {
        let own: Vec<&Point> = points.iter().filter(|point| point.speeds == speeds).collect();
        let line: Vec<String> =
            own.iter().map(|point| format!("{:.1},{:.1}", x(point.members), y(value(point)))).collect();
        svg += &format!("<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\"/>\n", line.join(" "));
        for point in own {
            svg += &format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>\
                 <text x=\"{0:.1}\" y=\"278\" text-anchor=\"middle\">{2}</text>\n",
                x(point.members),
                y(value(point)),
                point.members,
            );
        }
        svg += &format!(
            "<text x=\"{}\" y=\"{}\" fill=\"{colour}\" text-anchor=\"end\">{speeds:?}</text>\n",
            left + 330.0,
            25.0 + row * 15.0,
        );
    }
    svg
}
