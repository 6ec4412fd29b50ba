// A peer that compresses: Boost.Beast as client and as server.
//
// deflate_cpp beast client URL [WINDOW TAKEOVER]
// deflate_cpp beast server [WINDOW TAKEOVER]
//
// As deflate.py.
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <cmath>
#include <iostream>
#include <random>

namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using tcp = boost::asio::ip::tcp;
using Stream = websocket::stream<tcp::socket>;

const int MESSAGES = 1000;
std::mt19937 choose;

void check(bool condition, std::string const& text) {
    if (!condition) throw std::runtime_error(text);
}

std::string noise(size_t size) {
    std::string bytes(size, 0);
    for (char& byte : bytes) byte = choose();
    return bytes;
}

struct Message {
    bool text;
    std::string payload;
};

Message message(int number) {
    std::string text;
    if (number == 507) return {false, noise(70'000)};
    if (number % 10 == 7) return {false, noise(number % 300)};
    if (number == 509) {
        for (int entry = 0; entry < 10'000; entry++) text += std::to_string(choose() % 100'000) + ", ";
    } else if (number % 10 == 8) {
        for (int part = 0; part < number % 400; part++) text += "grün, 値段, 😀 ";
    } else if (number % 10 != 9) {
        auto temperature = std::to_string(std::sin(number) * 40);
        text = "{\"sensor\": " + std::to_string(number % 20) + ", \"temperature\": " + temperature;
        text += ", \"number\": " + std::to_string(number) + "}";
    }
    return {true, text};
}

void set_options(Stream& ws, char** arguments) {
    websocket::permessage_deflate deflate;
    deflate.client_enable = deflate.server_enable = true;
    if (arguments[0]) {
        deflate.client_max_window_bits = deflate.server_max_window_bits = std::stoi(arguments[0]);
        bool none = arguments[1] == std::string("no");
        deflate.client_no_context_takeover = deflate.server_no_context_takeover = none;
    }
    ws.set_option(deflate);
    // The size of its frames.
    ws.write_buffer_bytes(512);
    ws.next_layer().set_option(tcp::no_delay(true));
}

void converse(Stream& ws, std::string const& extensions) {
    check(extensions.find("permessage-deflate") != std::string::npos, "no compression: " + extensions);
    int pings = 0, pongs = 0;
    ws.control_callback([&](websocket::frame_type kind, beast::string_view) {
        if (kind == websocket::frame_type::pong) pongs++;
    });
    size_t total = 0;
    for (int number = 0; number < MESSAGES; number++) {
        if (number % 16 == 0) {
            ws.ping("ping");
            pings++;
        }
        auto [text, payload] = message(number);
        total += payload.size();
        ws.text(text);
        ws.write(boost::asio::buffer(payload));
        beast::flat_buffer echo;
        ws.read(echo);
        bool same = ws.got_text() == text && beast::buffers_to_string(echo.data()) == payload;
        check(same, "another echo of message " + std::to_string(number));
    }
    check(pings == pongs, std::to_string(pongs) + " Pongs for " + std::to_string(pings) + " Pings");
    std::cout << MESSAGES << " messages, " << total << " bytes" << std::endl;
}

// ws://HOST:PORT/
void client(std::string const& url, char** arguments) {
    auto port = url.rfind(':') + 1, path = url.find('/', port);
    auto address = boost::asio::ip::make_address(url.substr(5, port - 6));
    boost::asio::io_context context;
    Stream ws(context);
    ws.next_layer().connect({address, static_cast<unsigned short>(std::stoi(url.substr(port)))});
    set_options(ws, arguments);
    websocket::response_type response;
    ws.handshake(response, url.substr(5, path - 5), url.substr(path));
    converse(ws, std::string(response[http::field::sec_websocket_extensions]));
    ws.close(websocket::close_code::normal);
}

void server(char** arguments) {
    boost::asio::io_context context;
    tcp::acceptor acceptor(context, {boost::asio::ip::make_address("127.0.0.1"), 0});
    std::cout << "listening on " << acceptor.local_endpoint() << std::endl;
    for (;;) {
        Stream ws(acceptor.accept());
        set_options(ws, arguments);
        std::string extensions;
        ws.set_option(websocket::stream_base::decorator([&](websocket::response_type& response) {
            extensions = std::string(response[http::field::sec_websocket_extensions]);
        }));
        beast::flat_buffer buffer;
        http::request<http::string_body> request;
        http::read(ws.next_layer(), buffer, request);
        ws.accept(request);
        if (request.target().find("runCase") != beast::string_view::npos) converse(ws, extensions);
        if (request.target().find("getCaseCount") != beast::string_view::npos) {
            ws.write(boost::asio::buffer("1", 1));
        }
        ws.close(websocket::close_code::normal);
    }
}

int main(int count, char** arguments) {
    try {
        std::string role = count > 2 ? arguments[2] : "";
        if (role == "client") client(arguments[3], arguments + 4);
        if (role == "server") server(arguments + 3);
    } catch (std::exception const& error) {
        std::cerr << error.what() << std::endl;
        return 1;
    }
}
