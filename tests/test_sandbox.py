"""The sandbox of our units, as templates get it from the filter."""

import pytest
from conftest import PROJECT, load

sandbox = load(PROJECT / "plugins/filter/systemd.py").sandbox


def test_a_unit_gets_all_and_says_what_it_needs_otherwise():
    lines = sandbox({"UMask": "0077", "User": "shop", "SystemCallFilter": ["@system-service", "~@privileged"]})
    assert lines == sorted(lines, key=lambda line: line.partition("=")[0])
    assert "NoNewPrivileges=yes" in lines
    assert "ProtectSystem=strict" in lines
    assert "CapabilityBoundingSet=" in lines
    assert {"UMask=0077", "User=shop", "SystemCallFilter=@system-service", "SystemCallFilter=~@privileged"} < {*lines}
    assert "UMask=0027" not in lines


@pytest.mark.parametrize("host_mounts", [False, True])
def test_a_setting_stands_once_and_who_watches_the_host_sees_its_mounts(host_mounts):
    lines = sandbox({}, host_mounts=host_mounts)
    names = [line.partition("=")[0] for line in lines]
    assert len(names) == len(set(names))
    assert ("ProtectSystem=no" in lines) == host_mounts
    assert "NoNewPrivileges=yes" in lines
