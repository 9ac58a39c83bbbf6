import LeaderElection
import Logging

/// One event as a line of a log.
struct Line {
    var level: Logger.Level
    var message: Logger.Message
    var metadata: Logger.Metadata = [:]

    init(_ event: ElectionEvent) {
        switch event {
        case .campaigning: self.init(.debug, "campaigning")
        case .waiting(let leader): self.init(.info, "waiting", Self.leader(leader))
        case .elected(let lease):
            self.init(.notice, "elected", ["remaining": Self.text(lease.remaining), "stop-time": Self.text(lease.stopTime)])
        case .renewed(let remaining): self.init(.trace, "renewed", ["remaining": Self.text(remaining)])
        case .leaderChanged(let leader): self.init(.info, leader == nil ? "nobody leads" : "the leader has changed", Self.leader(leader))
        case .retrying(let error, let pause): self.init(.debug, "retrying", ["error": Self.text(error), "after": Self.text(pause)])
        case .outage(let error): self.init(.warning, "the servers do not answer", ["error": Self.text(error)])
        case .outageOver(let duration): self.init(.notice, "the servers answer again", ["after": Self.text(duration)])
        case .stepDownAsked(let asker): self.init(.warning, "asked to step down", ["by": .string(asker)])
        case .cancelled(let time): self.init(.warning, "work is told to stop", ["stop-time": Self.text(time)])
        case .overran(let duration):
            self.init(.critical, "work runs on after the end of its lease: another process can lead", ["for": Self.text(duration)])
        case .lost(let loss): self.init(Self.level(of: loss), "leadership ended", ["reason": .string("\(loss)")])
        case .released: self.init(.notice, "released")
        case .releaseFailed(let error): self.init(.warning, "cannot release the lease, which will expire", ["error": Self.text(error)])
        case .connection(let event): self.init(.debug, "connection", ["kind": .string("\(event)")])
        case .missed(let count): self.init(.warning, "events were missed", ["count": .stringConvertible(count)])
        }
    }

    private init(_ level: Logger.Level, _ message: Logger.Message, _ metadata: Logger.Metadata = [:]) {
        self.level = level
        self.message = message
        self.metadata = metadata
    }
}
