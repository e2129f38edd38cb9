"""What the strategy fast_linear keeps between runs gives what Ansible itself compiles."""

PLAY = r"""
- hosts: localhost
  gather_facts: false
  vars:
    inner: "{{ 'a\nb' ~ number }}"
    number: 3
    lists: {a: [1, 2], b: []}
  tasks:
    - debug:
        msg: "{{ [inner, lists.a + [number], '\\n' | length, lookup('vars', 'num' ~ 'ber')] }}"
    - assert:
        that:
          - "'a\nb3' == inner"
          - inner is search('a\nb')
          - lists['a'] | length == 2
          - not lists.b
        quiet: true
    - debug:
        msg: "{% for x in lists.a %}{{ x }};{% endfor %}"
      when: lists.a | join is not search('z')
    - template:
        src: t.j2
        dest: "{{ playbook_dir }}/out"
    - debug:
        msg: "{{ lookup('file', playbook_dir ~ '/out') }}"
    - debug:
        msg: "{{ lookup('template', 't.j2', variable_start_string='<<', variable_end_string='>>') }}"
    - debug:
        msg: "{{ number | no_such_filter }}"
      ignore_errors: true
    - debug:
        msg: "{{ number + }}"
      ignore_errors: true
    - debug:
        msg: hello
      when: number ==
"""


def test_a_run_with_what_the_last_one_compiled_says_the_same_as_without(playbook, tmp_path):
    (tmp_path / "play.yml").write_text(PLAY)
    (tmp_path / "t.j2").write_text("{# {{ #}{{ number }} << number >> {{ '\\\\' }}\n")
    cache = tmp_path / "cache"
    cache.mkdir()

    def said(strategy):
        (tmp_path / "out").unlink(missing_ok=True)
        done = playbook(str(tmp_path / "play.yml"), ANSIBLE_STRATEGY=strategy, TMPDIR=str(cache))
        return done.stdout

    expected = said("linear")
    assert "no_such_filter" in expected
    assert not list(cache.rglob("*jinja2*.cache"))
    assert said("fast_linear") == expected
    compiled = {path: path.stat().st_mtime_ns for path in cache.rglob("*jinja2*.cache")}
    assert len(compiled) > 10
    assert said("fast_linear") == expected
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*jinja2*.cache")} == compiled
