"""Clients' packets to a virtual service, for TRex in stateless mode.

    start -f director_trex.py -p 0 -m 100% -d 60 -t --profile,imix,--flows,1000000

Tunables: see Director.get_streams. README.md beside this file tells the wiring and what to read afterwards.
"""

import argparse
import ipaddress

from trex.stl.api import (
    Ether,
    IP,
    STLPktBuilder,
    STLProfile,
    STLStream,
    STLTXCont,
    STLVM,
    TCP,
    UDP,
)

# Frame lengths with the frame check sequence, and how many of them in twelve.
SIZES = {
    "64": [(64, 12)],
    "128": [(128, 12)],
    "512": [(512, 12)],
    "1518": [(1518, 12)],
    "imix": [(64, 7), (570, 4), (1518, 1)],
    "syn": [(64, 12)],
}
FRAME_CHECK_SEQUENCE = 4
# Clients' ports: so many of each address, so that a million flows need no more than a /22 of addresses.
PORT_FIRST = 32768
PORTS = 1024


class Director:
    def get_streams(self, tunables, **_kwargs):
        parser = argparse.ArgumentParser(prog="director_trex.py")
        parser.add_argument("--profile", choices=sorted(SIZES), default="64")
        parser.add_argument("--vip", default="10.0.0.100")
        parser.add_argument("--vip-port", type=int, default=53)
        parser.add_argument("--first-client", default="10.1.0.1")
        parser.add_argument("--flows", type=int, default=1024)
        arguments = parser.parse_args(tunables)
        sizes = SIZES[arguments.profile]
        return STLProfile(
            [
                STLStream(packet=self.packet(arguments, size), mode=STLTXCont(pps=share))
                for size, share in sizes
            ]
        ).get_streams()

    def packet(self, arguments, size):
        transport, name = UDP(dport=arguments.vip_port), "UDP"
        if arguments.profile == "syn":
            transport, name = TCP(dport=arguments.vip_port, flags="S"), "TCP"
        # TRex fills in the MAC addresses that its configuration names.
        head = Ether() / IP(dst=arguments.vip) / transport
        payload = b"x" * max(0, size - FRAME_CHECK_SEQUENCE - len(head))
        return STLPktBuilder(pkt=head / payload, vm=self.clients(arguments, name))

    def clients(self, arguments, transport):
        """Source addresses and ports: addresses by ports are the flows."""
        ports = min(PORTS, arguments.flows)
        addresses = -(-arguments.flows // ports)
        first = ipaddress.IPv4Address(arguments.first_client)
        machine = STLVM()
        machine.tuple_var(
            name="client",
            ip_min=str(first),
            ip_max=str(first + addresses - 1),
            port_min=PORT_FIRST,
            port_max=PORT_FIRST + ports - 1,
            limit_flows=arguments.flows,
        )
        machine.write(fv_name="client.ip", pkt_offset="IP.src")
        machine.write(fv_name="client.port", pkt_offset=f"{transport}.sport")
        machine.fix_chksum()
        return machine


def register():
    return Director()
