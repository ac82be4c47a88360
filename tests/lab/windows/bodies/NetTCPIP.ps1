# TCP connections: the real listening sockets of this machine, as Windows would show them.
enum Double_TcpState { Closed = 1; Listen = 2; SynSent = 3; SynReceived = 4; Established = 5 }

function ConvertFrom-DoubleHexAddress([string]$Hex) {
    $bytes = for ($i = 0; $i -lt $Hex.Length; $i += 8) {
        for ($j = 6; $j -ge 0; $j -= 2) { [Convert]::ToByte($Hex.Substring($i + $j, 2), 16) }
    }
    ([Net.IPAddress][byte[]]$bytes).ToString()
}
function Get-DoubleSockets {
    $states = @{ '0A' = 'Listen'; '01' = 'Established' }
    foreach ($file in '/proc/net/tcp', '/proc/net/tcp6') {
        if (-not [IO.File]::Exists($file)) { continue }
        foreach ($line in [IO.File]::ReadAllLines($file) | Select-Object -Skip 1) {
            $words = $line.Trim() -split '\s+'
            if (-not $states[$words[3]]) { continue }
            $local, $remote = $words[1].Split(':'), $words[2].Split(':')
            [pscustomobject]@{ LocalAddress = ConvertFrom-DoubleHexAddress $local[0]; LocalPort = [uint16][Convert]::ToInt32($local[1], 16)
                RemoteAddress = ConvertFrom-DoubleHexAddress $remote[0]
                RemotePort = [uint16][Convert]::ToInt32($remote[1], 16)
                State = [Double_TcpState]$states[$words[3]] }
        }
    }
}
Body 'Get-NetTCPConnection' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'LocalAddress','LocalPort','RemoteAddress','RemotePort','State'
    $found = @(Get-DoubleSockets | Where-Object {
        $socket = $_
        -not @('LocalAddress','LocalPort','RemoteAddress','RemotePort','State' | Where-Object {
            $Bound.ContainsKey($_) -and @($Bound[$_] | ForEach-Object { "$_" }) -notcontains "$($socket.$_)"
        })
    })
    if (-not $found) {
        foreach ($key in 'LocalPort','LocalAddress','RemotePort','RemoteAddress','State') {
            if ($Bound.ContainsKey($key)) { Write-DoubleCimNotFound $Cmdlet 'MSFT_NetTCPConnection' $key "$($Bound[$key])"; return }
        }
    }
    foreach ($socket in $found) {
        New-DoubleCim 'root/StandardCimv2' 'MSFT_NetTCPConnection' ([ordered]@{
            LocalAddress = $socket.LocalAddress
            LocalPort = $socket.LocalPort
            RemoteAddress = $socket.RemoteAddress
            RemotePort = $socket.RemotePort
            State = $socket.State; AppliedSetting = $null; OwningProcess = [uint32]4; CreationTime = $null; OffloadState = 0 })
    }
}
