import Glibc
import QQCore
import QQLoop
import Support
import Testing

@testable import QQCLI

@Suite("Delivery to the service manager", .ownThread) struct ServiceNotifierTests {
    @Test("messages are tried again also after retries that a change has made needless") func again() throws {
        var folder = Array("/tmp/qq-notify-XXXXXX".utf8CString)
        let made = mkdtemp(&folder)
        try #require(made != nil)
        let folderPath = String(decoding: folder.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { removeTree(folderPath) }
        let path = folderPath + "/notify"
        let loop = try MainLoop()
        let manager = ServiceManager(
            { name in name == "NOTIFY_SOCKET" ? Array(path.utf8) : nil }, pid: 7, isOfSession: false)
        let report = ServiceReport(["web"], sender: .qq, server: try Systems.url("file:///srv/x"))
        let messages = Messages(try invocation("keepalive web"))
        let notifier = try #require(ServiceNotifier(manager, report, sender: .qq, loop: loop, messages: messages))
        let grant = Grant(
            name: "web", identity: "me", token: nil, ttl: .seconds(15), deadline: .distantFuture, acquiredAt: .now(),
            expiresAt: .now() + .seconds(15))
        let away = CoordinationError(.unavailable, "cannot renew", because: "no answer")
        @Sendable func take(_ event: SessionEvent) { notifier.take(event, of: "web", as: "me", title: "web") }

        let result = loop.run { () async -> Result<Void, any Error> in
            do {
                let first = try NotifyListener(path)
                notifier.begin()
                take(.elected(grant))
                #expect(first.lines.contains("READY=1") && !notifier.isRetrying)
                unlink(path)
                take(.retrying(away, after: .seconds(1)))
                #expect(notifier.isRetrying)
                // The manager was last sent that it leads without a problem.
                take(.extended(grant))
                #expect(!notifier.isRetrying)
                take(.lost(grant, .removed))
                #expect(notifier.isRetrying)
                let second = try NotifyListener(path)
                let deadline = loop.now() + .seconds(30)
                while second.messages.isEmpty, loop.now() < deadline { try await loop.sleep(for: .milliseconds(5)) }
                #expect(second.lines.first?.hasPrefix("STATUS=lost web at ") == true, "\(second.lines)")
                #expect(!notifier.isRetrying)
                return .success(())
            } catch { return .failure(error) }
        }
        try #require(result).get()
    }
}
