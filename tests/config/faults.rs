#[test]
fn probe() {
    let texts: Vec<String> = serde_json::from_str(&std::fs::read_to_string("/tmp/cfgcases/in.json").unwrap()).unwrap();
    let port = "\n[[port]]\nname = \"wan0\"\ndevice = \"0000:01:00.0\"\naddresses = [\"10.0.0.1/24\", \"fd00:a::1/64\"]\ngateway = \"10.0.0.254\"\n";
    let mut out = Vec::new();
    for text in texts {
        let lines: Vec<String> = match director::config::Config::parse(&format!("{text}{port}"), "f") {
            Ok(_) => vec!["VALID".into()],
            Err(f) => f.to_string().lines().map(|l| l[2..].to_owned()).collect(),
        };
        println!("-----\n{text}\n=>");
        for l in &lines { println!("   {l}"); }
        out.push(lines);
    }
    std::fs::write("/tmp/cfgcases/out.json", serde_json::to_string(&out).unwrap()).unwrap();
}
