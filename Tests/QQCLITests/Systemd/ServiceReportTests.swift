import QQCore
import Testing

@testable import QQCLI

@Suite("Messages to the service manager") struct ServiceReportTests {
    private static let time = WallTime(seconds: 1_784_000_000)
    private static let dated = ClockTime.dated(time)

    private func report(_ names: [String] = ["web"], sender: Notifier = .qq) throws -> ServiceReport {
        ServiceReport(names, sender: sender, server: try Systems.url("file:///srv/x"))
    }

    private func grant(_ name: String = "web", at time: WallTime = Self.time) -> Grant {
        Grant(
            name: name, identity: "me", token: nil, ttl: .seconds(15), deadline: .distantFuture, acquiredAt: time,
            expiresAt: time + .seconds(15))
    }

    private func held(by leader: String, since: WallTime? = Self.time) -> ElectionState {
        var state = ElectionState(name: "web", phase: .held)
        state.leader = leader
        state.acquiredAt = since
        state.remaining = .seconds(9)
        return state
    }

    /// The message after an event. It counts as delivered.
    private func message(_ report: inout ServiceReport, after event: SessionEvent, of name: String = "web", title: String? = nil) -> String?
    {
        _ = report.take(event, of: name, as: "me", title: title ?? name, at: Self.time)
        let news = report.news
        report.delivered()
        return news
    }

    @Test("a unit is not ready before the first answer") func first() throws {
        var report = try report()
        #expect(report.news == "STATUS=web: reading file:///srv/x")
        report.delivered()
        #expect(report.news == nil)
        let away = CoordinationError(.unavailable, "cannot ask", because: "no answer")
        #expect(message(&report, after: .retrying(away, after: .seconds(1))) == "STATUS=web: reading file:///srv/x; trying again: \(away)")
    }

    @Test("a waiter is ready, and shows who leads and since when") func waiting() throws {
        var report = try report()
        #expect(message(&report, after: .waiting(held(by: "h1"))) == "READY=1\nSTATUS=waiting for web, held by h1 since \(Self.dated)")
        #expect(message(&report, after: .waiting(held(by: "h1"))) == nil)
        #expect(message(&report, after: .waiting(held(by: "h2", since: nil))) == "STATUS=waiting for web, held by h2")
        #expect(message(&report, after: .elected(grant())) == "STATUS=leading web since \(Self.dated)")
        #expect(message(&report, after: .extended(grant())) == nil)
    }

    @Test("a leader is ready; a resumed term shows when it began, and a slot its number") func leading() throws {
        var report = try report()
        let began = Self.time - .seconds(3600)
        let news = message(&report, after: .elected(grant(at: began)), title: "web (slot 2)")
        #expect(news == "READY=1\nSTATUS=leading web (slot 2) since \(ClockTime.dated(began))")
    }

    @Test("an outage counts as waiting, and keeps the time of its beginning") func outage() throws {
        var report = try report()
        let away = CoordinationError(.unavailable, "cannot ask", because: "no answer")
        let other = CoordinationError(.unavailable, "cannot ask", because: "refused")
        #expect(
            message(&report, after: .outage(away, isNew: true)) == "READY=1\nSTATUS=waiting for web, outage since \(Self.dated): \(away)")
        _ = report.take(.outage(other, isNew: false), of: "web", as: "me", title: "web", at: Self.time + .seconds(60))
        #expect(report.news == "STATUS=waiting for web, outage since \(Self.dated): \(other)")
        report.delivered()
        #expect(message(&report, after: .outageOver(after: .seconds(60)))?.contains("READY") == false)
    }

    @Test("a renewal that fails is shown until one succeeds") func renewal() throws {
        var report = try report()
        _ = message(&report, after: .elected(grant()))
        let away = CoordinationError(.unavailable, "cannot renew", because: "no answer")
        let news = message(&report, after: .retrying(away, after: .seconds(1)))
        #expect(news == "STATUS=leading web since \(Self.dated); cannot renew: \(away)")
        #expect(message(&report, after: .extended(grant())) == "STATUS=leading web since \(Self.dated)")
    }

    @Test("an event that changes nothing is not news, whatever the number of elections") func unchanged() throws {
        var report = try report(["web", "db"])
        func take(_ event: SessionEvent, of name: String = "web") -> Bool {
            report.take(event, of: name, as: "me", title: name, at: Self.time)
        }
        let away = CoordinationError(.unavailable, "cannot renew", because: "no answer")
        #expect(take(.elected(grant())))
        #expect(!take(.extended(grant())) && !take(.stepDownAsked(by: "h2")))
        #expect(take(.retrying(away, after: .seconds(1))) && !take(.retrying(away, after: .seconds(2))))
        #expect(take(.extended(grant())) && !take(.extended(grant())))
        #expect(take(.waiting(held(by: "h1")), of: "db"))
        var shorter = held(by: "h1")
        shorter.remaining = .seconds(8)
        #expect(!take(.waiting(shorter), of: "db") && take(.waiting(held(by: "h2")), of: "db"))
        #expect(!take(.elected(grant("other")), of: "other"))
    }

    @Test("a loss and its reason are shown") func lost() throws {
        var report = try report()
        _ = message(&report, after: .elected(grant()))
        #expect(message(&report, after: .lost(grant(), .takenOver(by: "h2"))) == "STATUS=lost web at \(Self.dated): taken over by h2")
    }

    @Test("several elections are counted, and the unit is ready once all of them are held or waited for") func several() throws {
        var report = try report(["a", "b", "c"])
        #expect(message(&report, after: .elected(grant("a")), of: "a") == "STATUS=leading 1 of 3 elections, asking for 2")
        #expect(message(&report, after: .waiting(held(by: "h")), of: "b") == "STATUS=leading 1 of 3 elections, waiting for 1, asking for 1")
        let away = CoordinationError(.unavailable, "cannot ask", because: "no answer")
        let last = message(&report, after: .outage(away, isNew: true), of: "c")
        #expect(last == "READY=1\nSTATUS=leading 1 of 3 elections, waiting for 1, riding out an outage for 1")
        report.release()
        #expect(report.news == "STOPPING=1\nSTATUS=releasing a")
    }

    @Test("the end is reported once, with what is still held") func end() throws {
        var report = try report()
        _ = message(&report, after: .elected(grant()))
        report.release()
        #expect(report.news == "STOPPING=1\nSTATUS=releasing web")
        report.delivered()
        #expect(report.news == nil)
        #expect(message(&report, after: .released(grant())) == "STATUS=released web at \(Self.dated)")
        report.release()
        #expect(report.news == nil)
    }

    @Test("a lease that is left held is still shown at the end") func leftHeld() throws {
        var report = try report()
        _ = message(&report, after: .elected(grant()))
        report.end()
        #expect(report.news == "STOPPING=1")
        report.delivered()
        #expect(report.news == nil)
    }

    @Test("a unit that is stopped before it is ready does not become ready") func stopped() throws {
        var report = try report()
        report.release()
        #expect(report.news == "STOPPING=1\nSTATUS=stopping")
        report.delivered()
        #expect(message(&report, after: .waiting(held(by: "h"))) == nil)
    }

    @Test("a message that was not delivered is part of the next one") func undelivered() throws {
        var report = try report()
        _ = report.take(.waiting(held(by: "h1")), of: "web", as: "me", title: "web", at: Self.time)
        _ = report.take(.elected(grant()), of: "web", as: "me", title: "web", at: Self.time)
        #expect(report.news == "READY=1\nSTATUS=leading web since \(Self.dated)")
        report.release()
        #expect(report.news == "STOPPING=1\nSTATUS=releasing web")
    }

    @Test("for a command that reports itself, only the status is reported, until it starts") func command() throws {
        var report = try report(sender: .command)
        #expect(message(&report, after: .waiting(held(by: "h1", since: nil))) == "STATUS=waiting for web, held by h1")
        #expect(message(&report, after: .elected(grant())) == "STATUS=leading web since \(Self.dated)")
        #expect(message(&report, after: .lost(grant(), .removed)) == nil)
        report.release()
        #expect(report.news == nil)
    }

    @Test("a status is one line of valid UTF-8 and limited length") func bounds() throws {
        var report = try report()
        let news = message(&report, after: .waiting(held(by: "a\nREADY=1" + String(repeating: "é", count: 4000), since: nil)))
        let status = try #require(news?.split(separator: "\n").last)
        #expect(news?.split(separator: "\n").count == 2)
        #expect(status.hasPrefix("STATUS=waiting for web, held by a\\x0aREADY=1é") && status.hasSuffix("é"))
        #expect(status.utf8.count <= ServiceReport.longestStatus + "STATUS=".utf8.count)
    }
}
