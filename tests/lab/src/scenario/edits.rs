//! Edits of services and destinations while traffic runs.

use super::Action;
use super::story::{SHORT, Story};

impl Story<'_> {
    pub(super) fn add_service(&mut self, at: usize) {
        let service = self.services[at].clone();
        self.run(service.command("-A"));
        for destination in &service.destinations {
            self.run(destination.command("-a", &service));
        }
    }

    /// Removes all services and restores them with `ipvsadm -R`.
    fn restore(&mut self) {
        self.run("-C");
        let lines = self.services.iter().flat_map(|service| {
            let destinations = service.destinations.iter();
            let added = destinations.map(|destination| destination.command("-a", service));
            std::iter::once(service.command("-A")).chain(added)
        });
        let stdin = lines.map(|line| line + "\n").collect();
        self.actions.push(Action::Command { ipvsadm: "-R".to_owned(), stdin: Some(stdin) });
    }

    /// One edit. Its service or destination may not exist at the moment.
    pub(super) fn edit(&mut self) {
        let at = self.random.below(self.services.len());
        let mut service = self.services[at].clone();
        let chosen = self.random.below(service.destinations.len());
        let mut destination = service.destinations[chosen].clone();
        let key = format!("{} {}", service.key(), destination.key());
        match self.random.below(12) {
            0..4 => {
                let weight = self.random.pick(&["0", "1", "3", "7"]);
                let limits = self.random.pick(&["", "", " -x 1", " -x 3 -y 1", " -x 0"]);
                let mut words: Vec<&str> = destination.options.split(" -").collect();
                words.retain(|word| !["w ", "x ", "y "].iter().any(|own| word.starts_with(own)));
                destination.options = format!("{} -w {weight}{limits}", words.join(" -"));
                service.destinations[chosen] = destination.clone();
                self.run(destination.command("-e", &service));
            }
            4..6 => self.run(format!("-d {key}")),
            6..8 => self.run(destination.command("-a", &service)),
            8 => {
                let scheduler = self.random.pick(&["rr", "wlc", "sh", "mh", "fo", "sed"]);
                service.scheduler = scheduler.to_owned();
                let (any_port, sip) = (service.any_port, service.sip);
                service.draw_options(&mut self.random);
                (service.any_port, service.sip) = (any_port, sip);
                self.run(service.command("-E"));
            }
            9 => self.run(format!("-D {}", service.key())),
            10 if self.random.chance(50) => return self.restore(),
            10 => return self.add_service(at),
            _ => {
                let command = self.random.pick(&["-C", SHORT, "--set 900 120 300"]);
                self.run(command);
            }
        }
        self.services[at] = service;
    }
}
