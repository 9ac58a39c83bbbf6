import GRPCCore
import GRPCProtobuf
import QQCore
import QQNetwork
import SwiftProtobuf
import Testing

@testable import QQGRPC
@testable import Support

@Suite("Failures of calls") struct FailureTests {
    static let kinds: [(RPCError.Code, CoordinationError.Kind, uncertain: Bool)] = [
        (.cancelled, .unavailable, true), (.unknown, .unavailable, true), (.invalidArgument, .usage, false),
        (.deadlineExceeded, .unavailable, true), (.notFound, .unavailable, false), (.alreadyExists, .unavailable, false),
        (.permissionDenied, .denied, false), (.failedPrecondition, .unavailable, false),
        (.aborted, .unavailable, true), (.outOfRange, .usage, false), (.unimplemented, .brokenData, false),
        (.internalError, .unavailable, true), (.unavailable, .unavailable, true), (.dataLoss, .brokenData, true),
        (.unauthenticated, .denied, false),
    ]

    @Test("a failure's kind, and whether the request might have been carried out, follow from the status", arguments: kinds)
    func kind(code: RPCError.Code, kind: CoordinationError.Kind, uncertain: Bool) {
        let failure = GRPCFailure(RPCError(code: code, message: "words"), at: "host:1", wasSent: true, tls: nil)
        let told = failure.told("cannot do it", isChange: true)
        #expect(told.kind == kind && told.isUncertain == uncertain)
        #expect(told.description.hasPrefix("cannot do it: ") && told.description.hasSuffix(" (host:1)"))
        // A request that was not sent was not carried out, and a read changes nothing.
        #expect(!failure.told("cannot do it", isChange: false).isUncertain)
        #expect(
            !GRPCFailure(RPCError(code: code, message: "words"), at: "h", wasSent: false, tls: nil).told("x", isChange: true).isUncertain)
    }

    @Test("the server's words are shown without terminal control codes, and the status code is shown if there are none") func words() {
        func reason(_ message: String) -> String {
            GRPCFailure(RPCError(code: .internalError, message: message), at: "h", wasSent: true, tls: nil).reason
        }
        #expect(reason("no such thing") == "no such thing")
        #expect(!reason("\u{1b}[2Jgone").contains("\u{1b}"))
        #expect(reason("") == "the server answered with INTERNAL and no reason")
    }

    @Test(
        "the library's own words are not shown",
        arguments: [
            ("Channel isn't ready, no subchannel available.", "not connected"), ("subchannel isn't ready", "not connected"),
            ("Transport is shut down.", "not connected"), ("Stream unexpectedly closed with error.", "the connection was lost"),
            ("Stream unexpectedly closed: received RST_STREAM frame (0x8: cancel).", "the server broke the call off"),
            ("The TCP connection was dropped unexpectedly.", "the connection was lost"),
            ("Failed to decode message", "the server's answer cannot be decoded"),
            (
                #"Failed to decode message resourceExhausted: "Message has exceeded the configured maximum payload size (max: 4, actual: 5)""#,
                GRPCFailure.tooLarge
            ), ("Channel is in a transient failure state and 'wait for ready' isn't enabled.", "not connected"),
            ("The connection became unresponsive and was closed because the keepalive timeout fired.", "the server has fallen silent"),
            ("Unexpected non-200 HTTP Status Code (502 Bad Gateway).", "the server answers with HTTP status 502, not as a gRPC server"),
            ("HTTP Status Code is missing.", GRPCFailure.notGRPC), ("Missing content-type header", GRPCFailure.notGRPC),
            ("No 'grpc-status' value in trailers", GRPCFailure.notGRPC), ("Invalid 'grpc-status' in trailers (abc)", GRPCFailure.notGRPC),
            ("Server sent a DATA frame before sending initial metadata.", GRPCFailure.notGRPC),
            (
                "Server sent EOS alongside a data frame, but server is only allowed to close by sending status and trailers.",
                GRPCFailure.notGRPC
            ),
            (
                "The server picked a compression algorithm ('snappy') the client does not know about.",
                "the server's answer is compressed in a way that qq does not know"
            ),
        ])
    func ownWords(library: String, own: String) {
        for code in [RPCError.Code.unavailable, .internalError] {
            let failure = GRPCFailure(RPCError(code: code, message: library), at: "h", wasSent: true, tls: nil)
            #expect(failure.reason == own && failure.isInOurWords)
        }
    }

    @Test("an error of the library that is not known is told by its cause, or after words of ours") func unknownWords() {
        struct Cause: Error {}
        func failure(_ error: RPCError) -> GRPCFailure { GRPCFailure(error, at: "h", wasSent: true, tls: nil) }
        let unknown = failure(RPCError(code: .internalError, message: "Invalid state", cause: Cause()))
        #expect(unknown.reason == "the connection failed (library: Invalid state)" && unknown.isInOurWords)
        let empty = failure(RPCError(code: .unknown, message: "", cause: Cause()))
        #expect(empty.reason.hasPrefix("the connection failed (library: ") && empty.isInOurWords)
        let server = failure(RPCError(code: .internalError, message: "the store has failed"))
        #expect(server.reason == "the store has failed" && !server.isInOurWords)
    }

    @Test("a server with TLS that ends the connection is not said to need TLS") func overTLS() {
        let error = RPCError(
            code: .unavailable,
            message: "The server accepted the TCP connection but closed the connection before completing the HTTP/2 connection preface.")
        let plain = GRPCFailure(error, at: "h", wasSent: false, tls: nil)
        #expect(plain.reason == GRPCFailure.noAnswer && plain.told("x", isChange: false).hint?.contains("With TLS") == true)
        let secure = GRPCFailure(error, at: "h", wasSent: false, tls: nil, isOverTLS: true)
        #expect(secure.reason == GRPCFailure.noAnswer && secure.told("x", isChange: false).hint?.contains("With TLS") == false)
    }

    @Test("a request that was sent is uncertain if TLS fails after that, and is not if the client certificate is refused") func tls() {
        func failure(_ kind: TLSFailure.Kind, isProven: Bool = false) -> GRPCFailure {
            GRPCFailure(
                RPCError(code: .unavailable, message: "Stream unexpectedly closed."), at: "h", wasSent: true,
                tls: TLSFailure(kind, "words"),
                isProven: isProven)
        }
        for kind in [TLSFailure.Kind.disconnected, .configuration] {
            #expect(failure(kind).wasSent && !failure(kind).isAnswer && failure(kind).told("x", isChange: true).isUncertain, "\(kind)")
        }
        #expect(!failure(.denied).wasSent && !failure(.denied).told("x", isChange: true).isUncertain)
        // The refusal can be that of a new connection, and the request can have been sent over the one before.
        #expect(failure(.denied, isProven: true).told("x", isChange: true).isUncertain)
    }

    @Test("a request is not uncertain if the server refused its stream, but is if the stream ended without a status") func streams() {
        func failure(_ message: String) -> GRPCFailure {
            GRPCFailure(RPCError(code: .unavailable, message: message), at: "h", wasSent: true, tls: nil)
        }
        let refused = failure("Stream unexpectedly closed: received RST_STREAM frame (0x7: refused stream).")
        #expect(!refused.wasSent && !refused.isAnswer && !refused.told("x", isChange: true).isUncertain)
        for message in ["Stream unexpectedly closed.", "Stream unexpectedly closed: received RST_STREAM frame (0x8: cancel)."] {
            #expect(failure(message).wasSent && !failure(message).isAnswer && failure(message).told("x", isChange: true).isUncertain)
        }
        #expect(failure("the server is out of service").isAnswer)
    }

    private func failure(details bytes: [UInt8]) -> GRPCFailure {
        var metadata = Metadata()
        metadata.addBinary(bytes, forKey: "grpc-status-details-bin")
        return GRPCFailure(RPCError(code: .aborted, message: "m", metadata: metadata), at: "h", wasSent: true, tls: nil)
    }

    private func status(_ details: [(String, [UInt8])]) throws -> [UInt8] {
        var status = Google_Rpc_Status()
        status.code = 10
        status.details = details.map { type, bytes in
            var any = Google_Protobuf_Any()
            (any.typeURL, any.value) = (type, .init(bytes))
            return any
        }
        return try status.serializedBytes()
    }

    @Test("a detail that the server attached is read, whatever else is attached") func details() throws {
        let value: [UInt8] = try Google_Protobuf_StringValue("here").serializedBytes()
        let found = failure(
            details: try status([
                ("type.googleapis.com/other.Thing", [1, 2, 3]), ("type.googleapis.com/google.protobuf.StringValue", [0xff]),
                ("type.googleapis.com/google.protobuf.StringValue", value),
            ]))
        #expect(found.details.count == 3 && found.code == .aborted)
        #expect(found.detail(Google_Protobuf_StringValue.self)?.value == "here")
        #expect(found.detail(Google_Protobuf_Int32Value.self) == nil)
        // A type name that only ends alike is another type.
        let alike = failure(details: try status([("type.googleapis.com/xgoogle.protobuf.StringValue", value)]))
        #expect(alike.detail(Google_Protobuf_StringValue.self) == nil)
    }

    @Test(
        "malformed details count as none",
        arguments: [
            [], [0], [0xff], [0x1a, 0x7f], Array(repeating: 0x1a, count: 10_000),
            [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ])
    func junk(bytes: [UInt8]) {
        let found = failure(details: bytes)
        #expect(found.code == .aborted && found.message == "m" && found.isAnswer)
        #expect(found.detail(Google_Protobuf_StringValue.self) == nil)
    }

    @Test("details arrive through a real call") func sentDetails() async throws {
        try await inSandbox { box in
            let bytes = try status([
                ("type.googleapis.com/google.protobuf.StringValue", try Google_Protobuf_StringValue("why").serializedBytes())
            ])
            let server = try await TestServer(in: box) { text, _ in
                var metadata = Metadata()
                metadata.addBinary(text == "junk" ? [0xff, 0, 0x1a] : bytes, forKey: "grpc-status-details-bin")
                throw RPCError(code: .failedPrecondition, message: "no", metadata: metadata)
            }
            let endpoint = GRPCEndpoint.of(server.port)
            let failure = try #require(await endpoint.failure("x"))
            #expect(failure.code == .failedPrecondition && failure.message == "no" && failure.isAnswer && failure.wasSent, "\(failure)")
            #expect(failure.detail(Google_Protobuf_StringValue.self)?.value == "why")
            let junk = try #require(await endpoint.failure("junk"))
            #expect(junk.code == .failedPrecondition && junk.details == [])
            #expect(server.listener.connections == 1, "an answer is no reason to connect again")
            endpoint.close()
        }
    }

    @Test("DEADLINE_EXCEEDED and UNAVAILABLE count as answers if the server sent them") func serversOwn() async throws {
        try await inSandbox { box in
            let server = try await TestServer(in: box) { text, _ in
                throw RPCError(code: text == "late" ? .deadlineExceeded : .unavailable, message: "of my own")
            }
            let endpoint = GRPCEndpoint.of(server.port)
            let unavailable = try #require(await endpoint.failure("x"))
            #expect(unavailable.code == .unavailable && unavailable.reason == "of my own" && unavailable.isAnswer, "\(unavailable)")
            let late = try #require(await endpoint.failure("late"))
            #expect(late.code == .deadlineExceeded, "\(late)")
            #expect(server.questions == ["x", "late"], "no request is made twice")
            endpoint.close()
        }
    }
}
