//! Draws cycles per packet against flows, with the limits: `plot pipeline.json picture.svg`.

use clap::Parser;
use plotters::prelude::*;
use serde::Deserialize;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

/// Cycles per packet against flows, as SVG.
#[derive(Parser)]
struct Arguments {
    /// JSON file of the pipeline bench.
    results: PathBuf,
    picture: PathBuf,
}

#[derive(Deserialize)]
struct Results {
    machine: Machine,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Machine {
    processor: String,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    flows: Option<u32>,
    detail: String,
    cycles_low: f64,
}

/// One curve: its rows and its colour.
const CURVES: [(&str, &str, RGBColor); 6] = [
    ("DR IPv4", "hit uniform 64", RGBColor(0x1f, 0x77, 0xb4)),
    ("NAT IPv4", "hit uniform 64", RGBColor(0xd6, 0x27, 0x28)),
    ("NAT IPv4", "reply uniform 64", RGBColor(0xff, 0x7f, 0x0e)),
    ("TUN IPv4", "hit uniform 64", RGBColor(0x2c, 0xa0, 0x2c)),
    ("DR IPv6", "hit uniform 64", RGBColor(0x94, 0x67, 0xbd)),
    ("DR IPv4", "hit zipf 64", RGBColor(0x17, 0xbe, 0xcf)),
];

/// Limits for DR IPv4, by number of flows.
const LIMITS: [(f64, f64); 3] = [(1_024.0, 100.0), (1_000_000.0, 150.0), (10_000_000.0, 200.0)];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let results: Results = serde_json::from_str(&fs::read_to_string(&arguments.results)?)?;
    draw(&results, &arguments.picture)
}

fn draw(results: &Results, picture: &PathBuf) -> Result<(), Box<dyn Error>> {
    let highest = CURVES
        .iter()
        .flat_map(|curve| points(results, curve))
        .fold(250.0, |highest: f64, (_, cycles)| highest.max(cycles));
    let area = SVGBackend::new(picture, (960, 600)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(
            format!("Cycles per packet against flows, 64 octets, {}", results.machine.processor),
            ("sans-serif", 20),
        )
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d((700.0..14_000_000.0).log_scale(), 0.0..highest * 1.1)?;
    chart
        .configure_mesh()
        .x_desc("flows")
        .y_desc("TSC cycles per packet, lowest median of a batch")
        .x_label_formatter(&|flows| format!("{flows:.0}"))
        .y_label_formatter(&|cycles| format!("{cycles:.0}"))
        .draw()?;
    for curve in &CURVES {
        let (name, detail, colour) = *curve;
        let points = points(results, curve);
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?
            .label(format!("{name}, {}", detail.trim_end_matches(" 64")))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(points.into_iter().map(|at| Circle::new(at, 3, colour.filled())))?;
    }
    chart
        .draw_series(LIMITS.map(|at| TriangleMarker::new(at, 7, BLACK.filled())))?
        .label("limit for DR IPv4")
        .legend(|(x, y)| TriangleMarker::new((x + 9, y), 6, BLACK.filled()));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()?;
    Ok(())
}

fn points(results: &Results, (name, detail, _): &(&str, &str, RGBColor)) -> Vec<(f64, f64)> {
    results
        .rows
        .iter()
        .filter(|row| row.name == *name && row.detail == *detail)
        .filter_map(|row| Some((f64::from(row.flows?), row.cycles_low)))
        .collect()
}
