import Testing

@testable import QQCLI

@Suite("Credentials in arguments") struct CredentialsInArguments {
    private func hidden(_ word: String) -> String {
        var bytes = Array(word.utf8)
        for place in Hidden.credentials(in: bytes) ?? 0..<0 { bytes[place] = UInt8(ascii: "*") }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(
        "credentials in an argument are found up to the last @",
        arguments: [
            ("nats://me:s3cret@a:4222,b", "nats://*********@a:4222,b"), ("nats://token@a", "nats://*****@a"),
            ("TLS://me:p@a", "TLS://****@a"),
            ("--server=nats://me:p@a", "--server=nats://****@a"), ("-snats://me:p@a", "-snats://****@a"),
            ("-qs=qq://me:p@a", "-qs=qq://****@a"),
            // If unsure, hide too much: an @ or a slash in a password, a mistyped scheme.
            ("nats://me:p@ss@a", "nats://*******@a"), ("nats://me:p/w@a", "nats://******@a"), ("nast://me:p@a", "nast://****@a"),
            ("profile://me:p@a", "profile://****@a"), ("--server=nats-file://me:p@a", "--server=nats-file://****@a"),
            ("-sak8s://me:p@a", "-sak8s://****@a"),
            ("nats://me:p@a,b:q@c", "nats://**********@c"), ("consul://me:s3cret@c/p", "consul://*********@c/p"),
        ])
    func found(word: String, shown: String) {
        #expect(hidden(word) == shown)
    }

    @Test(
        "an argument without credentials stays as it is",
        arguments: [
            "nats://a:4222", "nats://", "://", "me@host", "@", "", "file:///srv/a@b", "--server=FILE:///a@b", "k8s://me@cluster/ns",
            "-sfile:///srv/a@b", "-qsfile:///srv/a@b", "-s=k8s://me@cluster/ns",
            "status",
            "curl http://a b@c",
        ])
    func withoutCredentials(word: String) {
        #expect(hidden(word) == word)
    }
}
