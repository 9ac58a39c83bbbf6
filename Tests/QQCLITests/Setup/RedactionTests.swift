import Testing

@testable import QQCLI

@Suite("Credentials in what is printed") struct RedactionTests {
    @Test(
        "are left out of each URL in a message",
        arguments: [
            ("cannot ask nats://me:s3cret@n1:4222: refused", "cannot ask nats://***@n1:4222: refused"),
            ("(tls://token@a,b) and 'qq://u:p@c'", "(tls://***@a,b) and 'qq://***@c'"),
            ("nats://n1:4222 for me@host", "nats://n1:4222 for me@host"),
            ("file:///srv/a@b and k8s://me@cluster", "file:///srv/a@b and k8s://me@cluster"), ("no URL", "no URL"), ("", ""),
        ])
    func message(text: String, shown: String) { #expect(Hidden.redacted(text) == shown) }

    @Test(
        "are left out of an argument, however odd",
        arguments: [
            ("nats://me:pa ss@n1", "'nats://***@n1'"), ("nats://me:p'w@n1", "'nats://***@n1'"), ("me:s3cret@n1:4222", "'***@n1:4222'"),
            ("--server=me:s3cret@n1", "'--server=***@n1'"), ("me@host", "'me@host'"), ("a:b", "'a:b'"), ("file:///a@b", "'file:///a@b'"),
            ("nats://me:a@b@n1", "'nats://***@n1'"), ("x\u{1b}", "'x\\x1b'"),
        ])
    func argument(word: String, shown: String) { #expect(word.quoted == shown) }
}
