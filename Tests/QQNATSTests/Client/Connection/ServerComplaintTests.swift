import Testing

@testable import QQNATS

@Suite("Complaints of NATS servers") struct ServerComplaintTests {
    @Test(
        "a complaint about credentials or the account counts as denied",
        arguments: [
            "Authorization Violation", "User Authentication Expired", "User Authentication Revoked", "Account Authentication Expired",
            "authentication error", "account expired", "account missing", "Credentials Revoked",
        ])
    func denied(text: String) { #expect(ServerComplaint(text).refusal == NATSError(.denied, "the server refuses the login: \(text)")) }

    @Test(
        "a complaint that might be transient counts as disconnected",
        arguments: [
            "Authentication Timeout", "maximum connections exceeded", "maximum account active connections exceeded", "Slow Consumer",
            "Stale Connection", "Maximum Payload Violation", "Unknown Protocol Operation", "Server Shutdown", "",
        ])
    func passing(text: String) { #expect(ServerComplaint(text).refusal == NATSError(.disconnected, "the server says: \(text)")) }

    @Test("a complaint names a subject that the client must not publish or subscribe to") func permissions() {
        let publish = ServerComplaint(#"Permissions Violation for Publish to "$JS.API.INFO""#)
        #expect(publish.forbiddenPublish == "$JS.API.INFO" && publish.forbiddenSubscription == nil)
        let subscription = ServerComplaint(#"permissions violation for subscription to "a.b" using queue "q""#)
        #expect(subscription.forbiddenSubscription == "a.b" && subscription.forbiddenPublish == nil)
        for text in ["Permissions Violation for Publish to ", "Permissions Violation for Publish to \"a", "Permissions Violation", ""] {
            #expect(ServerComplaint(text).forbiddenPublish == nil && ServerComplaint(text).forbiddenSubscription == nil)
        }
    }

    @Test("the text of a complaint is made safe for a terminal") func printable() {
        #expect(!ServerComplaint("a\u{1B}[2Jb").refusal.reason.contains("\u{1B}"))
    }
}
