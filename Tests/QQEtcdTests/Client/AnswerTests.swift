import GRPCCore
import QQCore
import QQGRPC
import QQNetwork
import Testing

@testable import QQEtcd

@Suite("Answers of etcd by their meaning") struct AnswerTests {
    private func failure(_ code: RPCError.Code, _ text: String, wasSent: Bool = true, isAnswer: Bool = true) -> EtcdFailure {
        EtcdFailure(GRPCFailure(code, text, at: "h1:2379", wasSent: wasSent, isAnswer: isAnswer))
    }

    /// Recorded texts and codes (fixtures/etcd.jsonl) of 3.6.13, and of 3.4.23 where it sends others.
    private static let recorded: [(RPCError.Code, String, EtcdFailure.Meaning)] = [
        (.notFound, "etcdserver: requested lease not found", .leaseGone),
        (.failedPrecondition, "etcdserver: lease already exists", .leaseExists),
        (.outOfRange, "etcdserver: mvcc: required revision has been compacted", .compacted),
        (.outOfRange, "etcdserver: mvcc: required revision is a future revision", .ours),
        (.outOfRange, "etcdserver: too large lease TTL", .ours),
        (.unavailable, "etcdserver: request timed out", .mayHaveBeenApplied),
        (.unavailable, "etcdserver: request timed out, possibly due to previous leader failure", .mayHaveBeenApplied),
        (.unavailable, "etcdserver: request timed out, possibly due to connection lost", .mayHaveBeenApplied),
        (.deadlineExceeded, "context deadline exceeded", .mayHaveBeenApplied),
        (.unknown, "context deadline exceeded", .mayHaveBeenApplied),
        (.unknown, "raft proposal dropped", .notApplied(retry: .immediately)),
        (.unavailable, "etcdserver: leader changed", .notApplied(retry: .immediately)),
        (.unavailable, "etcdserver: no leader", .noLeader),
        (.resourceExhausted, "etcdserver: mvcc: database space exceeded", .noSpace),
        (.resourceExhausted, "etcdserver: too many requests", .notApplied(retry: .afterPause)),
        (.invalidArgument, "etcdserver: request is too large", .ours),
        (.invalidArgument, "etcdserver: duplicate key given in txn request", .ours),
        (.invalidArgument, "etcdserver: too many operations in txn request", .ours),
        (.invalidArgument, "etcdserver: key is not provided", .ours),
        (.invalidArgument, "etcdserver: value is provided", .ours),
        (.resourceExhausted, "grpc: received message larger than max (2300010 vs. 2097152)", .ours),
        (.unauthenticated, "etcdserver: invalid auth token", .authTokenInvalid),
        (.invalidArgument, "etcdserver: revision of auth store is old", .authTokenInvalid),
        (.invalidArgument, "etcdserver: user name is empty", .authTokenInvalid),
        (.failedPrecondition, "etcdserver: authentication is not enabled", .authNotEnabled),
        (.invalidArgument, "etcdserver: authentication failed, invalid user ID or password", .denied),
        (.permissionDenied, "etcdserver: permission denied", .denied),
        (.unimplemented, "unknown method AuthStatus for service etcdserverpb.Auth", .unsupported),
        (.unavailable, "etcdserver: rpc not supported for learner", .notApplied(retry: .immediately)),
        // QQGRPC's, of an answer.
        (.internalError, GRPCFailure.tooLarge, .tooLarge),
        (.unknown, "something new", .mayHaveBeenApplied),
        // The library's, for an answer: the request was carried out.
        (.resourceExhausted, "something new", .mayHaveBeenApplied),
        (.dataLoss, "something new", .mayHaveBeenApplied),
    ]

    @Test("a request that was sent might have been carried out if TLS fails after that")
    func tls() {
        for kind in [TLSFailure.Kind.disconnected, .configuration, .denied] {
            func failure(wasSent: Bool) -> EtcdFailure {
                EtcdFailure(GRPCFailure(.unavailable, "w", at: "h", wasSent: wasSent, isAnswer: false, tls: TLSFailure(kind, "w")))
            }
            #expect(failure(wasSent: true).meaning == .mayHaveBeenApplied && failure(wasSent: true).wasSent, "\(kind)")
            #expect(failure(wasSent: false).meaning != .mayHaveBeenApplied && !failure(wasSent: false).wasSent, "\(kind)")
        }
    }

    @Test("only words of the server are told as its words")
    func ownWords() {
        var failure = GRPCFailure(.dataLoss, "the server's answer cannot be decoded", at: "h", wasSent: true)
        #expect(EtcdFailure(failure).reason == "the server answers with an error: the server's answer cannot be decoded")
        failure.isInOurWords = true
        #expect(EtcdFailure(failure).reason == "the server's answer cannot be decoded")
    }

    @Test("each recorded answer has its meaning, with a reason that does not repeat the server's text", arguments: recorded.indices)
    func meanings(_ index: Int) {
        let (code, text, meaning) = Self.recorded[index]
        let failure = failure(code, text)
        #expect(failure.meaning == meaning, "\(text)")
        #expect(failure.endpoint == "h1:2379" && failure.wasSent && !failure.reason.isEmpty)
        if meaning != .ours, text != "something new" { #expect(!failure.reason.contains(text), "\(failure.reason)") }
    }

    @Test("a request that left without an answer might have been carried out; one that did not leave was not") func silence() {
        #expect(failure(.unavailable, "Connection reset by peer", isAnswer: false).meaning == .mayHaveBeenApplied)
        #expect(failure(.deadlineExceeded, "no answer in time", isAnswer: false).meaning == .mayHaveBeenApplied)
        let refused = failure(.unavailable, "Connection refused", wasSent: false, isAnswer: false)
        #expect(refused.meaning == .unavailable && refused.hint?.contains("nothing listens") == true)
        #expect(failure(.deadlineExceeded, "no answer in time", wasSent: false, isAnswer: false).meaning == .unavailable)
        #expect(failure(.cancelled, "interrupted", isAnswer: false).meaning == .cancelled)
        #expect(failure(.resourceExhausted, "the request has 9 bytes", wasSent: false).meaning == .ours)
    }

    @Test("a missing permission is told apart from a refused login, and a server with TLS is suspected where it ends the connection")
    func hints() {
        #expect(failure(.permissionDenied, "etcdserver: permission denied").isPermission)
        #expect(!failure(.invalidArgument, "etcdserver: authentication failed, invalid user ID or password").isPermission)
        #expect(failure(.unavailable, GRPCFailure.noAnswer, wasSent: false, isAnswer: false).hint?.contains("etcds://") == true)
    }

    @Test("a cancelled watch has the meaning of its reason") func watch() {
        #expect(EtcdFailure(watchRefusal: "etcdserver: permission denied", at: "h1:2379").meaning == .denied)
        #expect(EtcdFailure(watchRefusal: "", at: "h1:2379").meaning == .notApplied(retry: .afterPause))
    }

    @Test("users read what failed, why and where, and only a change can be uncertain") func told() {
        let failure = failure(.unavailable, "etcdserver: request timed out")
        let error = failure.told("cannot acquire web", isChange: true)
        #expect("\(error)" == "cannot acquire web: the cluster did not agree in time (h1:2379)" && error.isUncertain)
        #expect(!failure.told("cannot read web", isChange: false).isUncertain)
        for wasSent in [true, false] {
            let cancelled = self.failure(.cancelled, "interrupted", wasSent: wasSent, isAnswer: false)
            #expect(cancelled.told("cannot acquire web", isChange: true).isUncertain == wasSent)
        }
        #expect(self.failure(.resourceExhausted, "etcdserver: mvcc: database space exceeded").told("x", isChange: true).hint != nil)
    }
}
