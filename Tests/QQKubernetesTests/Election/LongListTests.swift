import QQCore
import Support
import Synchronization
import Testing

@testable import QQKubernetes

/// Sends pages with one lease each, far more than a list can have.
private final class LongList: APICalling {
    let endpoint = "https://test"
    let pages = Mutex(0)
    static let length = 2_000

    func prepare() {}
    func close() async {}

    func call(_ request: APIRequest, until deadline: BootInstant) async throws(APIFailure) -> APIAnswer {
        let page = pages.withLock { pages in
            pages += 1
            return pages
        }
        let next: JSONValue = .string(page < Self.length ? "\(page)" : "")
        let body: JSONValue = ["metadata": ["continue": next], "items": [["metadata": ["name": "web"]]]]
        return APIAnswer(status: 200, body: body, text: "")
    }

    func stream(_ request: APIRequest, until deadline: BootInstant) async throws(APIFailure) -> AsyncThrowingStream<JSONValue, any Error> {
        throw APIFailure(message: "not here", endpoint: endpoint, credential: "a test")
    }
}

@Suite struct LongListTests {
    @Test func `a list fails after as many pages as it can have, whatever they contain`() async throws {
        let list = LongList()
        let qq = KubernetesCoordinator(
            server: try ServerURL.parse("k8s://test/team", as: [testSystem]), api: list, namespace: "team", clock: StoreClock(),
            executor: globalConcurrentExecutor, requestTimeout: .seconds(5))
        let error = await #expect(throws: CoordinationError.self) { try await qq.list(ElectionFilter(name: "other")) }
        #expect(error?.hint?.contains("--match") == true)
        #expect(list.pages.withLock { $0 } < LongList.length)
    }
}
