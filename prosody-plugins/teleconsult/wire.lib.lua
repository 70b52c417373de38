-- HTTP/1.1 with connections that stay open. Prosody's own client opens one for every request (0.12 always, and 13.0 drops
-- kept ones), which at the rate of joins costs as much as the rest of our work. Same signature as net.http's request.
-- Pure: connecting and parsing are handed in.

local IDLE = 16; -- connections kept for later

local wire = {};

local function request_text(target, path, options)
	local lines = {
		"POST " .. path .. " HTTP/1.1";
		"Host: " .. target.authority;
		("Content-Length: %d"):format(#options.body);
	};
	for name, value in pairs(options.headers) do
		lines[#lines + 1] = name .. ": " .. value;
	end
	return table.concat(lines, "\r\n") .. "\r\n\r\n" .. options.body;
end

local function finish(request, body, code, response)
	local done = request.done;
	request.done = nil;
	if done then done(body, code, response); end
end

local function stays_open(response)
	return response.httpversion == "1.1" and (response.headers.connection or ""):lower() ~= "close";
end

local Wire = {};
Wire.__index = Wire;

local function write(link, request)
	link.request, request.link = request, link;
	link.conn:write(request.text);
end

local function forget_idle(self, link)
	for index = #self.idle, 1, -1 do
		if self.idle[index] == link then table.remove(self.idle, index); end
	end
end

local function on_response(self, link, response)
	if response.partial then return; end -- more is coming
	local request = link.request;
	link.request, link.reused = nil, true;
	if stays_open(response) and #self.idle < IDLE then
		self.idle[#self.idle + 1] = link;
	else
		link.conn:close();
	end
	if request then finish(request, response.body, response.code, response); end
end

local function new_link(self, conn, request)
	local link = { conn = conn; request = request };
	link.parser = self.deps.new_parser(
		function (response) on_response(self, link, response); end,
		function () conn:close(); end,
		"client");
	return link;
end

local function on_disconnect(self, link)
	forget_idle(self, link);
	local request = link.request;
	if not request then return; end
	-- The server may close a kept connection just when we use it again. Asking twice is harmless here.
	if link.reused and request.done then
		self.deps.connect(self.listener, request);
	else
		finish(request, nil, 0);
	end
end

local function new_listener(self)
	local links, listener = {}, {};

	function listener.onattach(conn, request) links[conn] = new_link(self, conn, request); end
	function listener.onconnect(conn) write(links[conn], links[conn].request); end
	function listener.onfail(request) finish(request, nil, 0); end

	function listener.onincoming(conn, data)
		local link = links[conn];
		if not link then return; end
		if not link.request then conn:close(); return; end -- nobody asked
		link.parser:feed(data);
	end

	function listener.ondisconnect(conn)
		local link = links[conn];
		links[conn] = nil;
		if link then on_disconnect(self, link); end
	end

	return listener;
end

-- target: prefix ("http://host:port"), authority ("host:port")
-- deps: connect(listener, data): net.connect with the target filled in; new_parser(on_response, on_error, "client")
function wire.new(target, deps)
	local self = setmetatable({ target = target; deps = deps; idle = {} }, Wire);
	self.listener = new_listener(self);
	return self;
end

local function cancel(request)
	request.done = nil;
	if request.link then request.link.conn:close(); end
end

-- url must begin with the target's prefix; options: body, headers; done(body, code, response), code 0 without an answer
function Wire:request(url, options, done)
	local path = url:sub(#self.target.prefix + 1);
	local request = { text = request_text(self.target, path, options); done = done; cancel = cancel };
	local link = table.remove(self.idle);
	if link then
		write(link, request);
	else
		self.deps.connect(self.listener, request);
	end
	return request;
end

-- The target of an http:// URL, with host and port; nil for another scheme or with a password inside.
function wire.target(url)
	local authority = url:match("^http://([^/?#]+)");
	if not authority or authority:find("@", 1, true) then return nil; end
	local host, port = authority:match("^(.-):(%d+)$");
	host = (host or authority):gsub("^%[(.*)%]$", "%1");
	return { prefix = "http://" .. authority; authority = authority; host = host; port = tonumber(port) or 80 };
end

return wire;
