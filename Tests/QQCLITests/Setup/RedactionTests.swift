import Testing

@testable import QQCLI

@Suite("Credentials in output") struct RedactionTests {
    @Test(
        "credentials are left out of each URL in a message",
        arguments: [
            ("cannot ask nats://me:s3cret@n1:4222: refused", "cannot ask nats://***@n1:4222: refused"),
            ("(tls://token@a,b) and 'qq://u:p@c'", "(tls://***@a,b) and 'qq://***@c'"),
            ("nats://n1:4222 for me@host", "nats://n1:4222 for me@host"),
            ("file:///srv/a@b and k8s://me@cluster", "file:///srv/a@b and k8s://me@cluster"), ("no URL", "no URL"), ("", ""),
            ("unknown: 'profile://me:s3cret@n1' (file:///a@b)", "unknown: 'profile://***@n1' (file:///a@b)"),
        ])
    func message(text: String, shown: String) { #expect(Hidden.redacted(text) == shown) }

    @Test(
        "credentials are left out of an argument, however odd it is",
        arguments: [
            ("nats://me:pa ss@n1", "'nats://***@n1'"), ("nats://me:p'w@n1", "'nats://***@n1'"), ("me:s3cret@n1:4222", "'***@n1:4222'"),
            ("--server=me:s3cret@n1", "'--server=***@n1'"), ("me@host", "'me@host'"), ("a:b", "'a:b'"), ("file:///a@b", "'file:///a@b'"),
            ("nats://me:a@b@n1", "'nats://***@n1'"), ("x\u{1b}", "'x\\x1b'"),
        ])
    func argument(word: String, shown: String) { #expect(word.quoted == shown) }

    @Test(
        "credentials are looked for in the word around an @, and not in the other words of a text",
        arguments: [
            ("mail -s \"Subject: x\" me@host", "mail -s \"Subject: x\" me@host"), ("a: b me@host", "a: b me@host"),
            ("say me:s3cret@n1 x", "say ***@n1 x"),
            ("ask nats://me:s3cret@n1/x; mail -s a: me@host", "ask nats://***@n1/x; mail -s a: me@host"),
            ("x=1 me:s3cret@n1 y:2 you@n2", "x=1 ***@n1 y:2 you@n2"), ("see file:///a:b@c and me@host", "see file:///a:b@c and me@host"),
        ])
    func text(word: String, shown: String) { #expect(Hidden.redacted(word: word) == shown) }

    @Test("credentials with spaces are found only in an argument that is a URL, never in part of a hook")
    func withSpaces() {
        #expect(Hidden.withSpaces(in: ["acquire", "x", "-s", "nats://me:pa ss@n1", "--server=qq://u:p w@c"]) == ["me:pa ss", "u:p w"])
        #expect(Hidden.withSpaces(in: ["-s", "nats://me:pass@n1", "mail -s \"Subject: x\" me@host", "a://b c"]) == [])
        for hook in ["mail -s \"Subject: x\" me@host", "curl https://u:p@h; mail -s 'a: b' me@host", "https://h/x me@host"] {
            for flag in ["--on-elected", "--on-lost", "--on-change", "--exec"] {
                #expect(Hidden.withSpaces(in: ["x", flag, hook, "nats://a:b c@d"]) == ["a:b c"], "\(flag) \(hook)")
                #expect(Hidden.withSpaces(in: ["x", flag + "=" + hook, "nats://a:b c@d"]) == ["a:b c"], "\(flag)=\(hook)")
            }
        }
        #expect(Hidden.withSpaces(in: ["x", "--", "nats://a:b c@d"]) == [])
    }
}
