import QQHTTP
import Testing

@testable import QQKubernetes

@Suite struct APIFailureTests {
    private func failure(status: Int?, wasSent: Bool = false) -> APIFailure {
        let transport = status == nil ? HTTPFailure(.disconnected, "Connection reset by peer", at: "h:6443", wasSent: wasSent) : nil
        return APIFailure(status: status, message: "m", transport: transport, endpoint: "h:6443", credential: "no credential")
    }

    @Test(arguments: [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 429])
    func `a refusal is certain`(status: Int) { #expect(!failure(status: status).isUncertain) }

    @Test(arguments: [408, 500, 503, 504]) func `trouble of the server leaves open what became of the request`(status: Int) {
        #expect(failure(status: status).isUncertain)
    }

    @Test func `without an answer, only a request that was sent is uncertain`() {
        #expect(failure(status: nil, wasSent: true).isUncertain)
        #expect(!failure(status: nil, wasSent: false).isUncertain)
    }
}
