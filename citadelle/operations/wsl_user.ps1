$account = Get-LocalUser | Where-Object { $_.Name -eq $user }
if (-not $account) {
    # Nobody ever needs it: tasks and SSH keys log on without. It is made here, told to nobody, and forgotten.
    $bytes = New-Object byte[] 48
    [Security.Cryptography.RandomNumberGenerator]::Create().GetBytes($bytes)
    $secret = New-Object Security.SecureString
    # Character by character: as an argument of a cmdlet it would stand in the log of PowerShell's pipelines.
    foreach ($character in [char[]]'aA1!') { $secret.AppendChar($character) }
    foreach ($byte in $bytes) { $secret.AppendChar([char](33 + $byte % 94)) }
    $account = New-LocalUser -Name $user -Password $secret -AccountNeverExpires -PasswordNeverExpires -UserMayNotChangePassword -Description $description
    $secret.Dispose()
    $bytes = $null
}
$sid = [string]$account.SID.Value
Set-LocalUser -SID $sid -PasswordNeverExpires $true -AccountNeverExpires -UserMayChangePassword $false
Enable-LocalUser -SID $sid
foreach ($group in $leave) { Remove-LocalGroupMember -SID $group -Member $sid }
foreach ($group in $join) { Add-LocalGroupMember -SID $group -Member $sid }

# secedit replaces each right that a file names: what stands there is written again, with one more.
$base = $env:SystemRoot + '\Temp\citadelle-' + [guid]::NewGuid().ToString('N')
function Read-Rights {
    & secedit.exe /export /areas USER_RIGHTS /cfg "$base.txt" /quiet | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "secedit /export: exit code $LASTEXITCODE" }
    $text = [string](Get-Content -LiteralPath "$base.txt" -Raw)
    Remove-Item -LiteralPath "$base.txt"
    $held = @{}
    foreach ($right in $rights) {
        $held[$right] = @()
        if ($text -match "(?m)^$right = (.*?)\s*$") { $held[$right] = @($Matches[1] -split ',' | Where-Object { $_ }) }
    }
    $held
}
$held = Read-Rights
$lacking = @($rights | Where-Object { $held[$_] -notcontains "*$sid" -and $held[$_] -notcontains $user })
if ($lacking) {
    try {
        $lines = @('[Unicode]', 'Unicode=yes', '[Version]', 'signature="$CHICAGO$"', 'Revision=1', '[Privilege Rights]')
        foreach ($right in $lacking) { $lines += "$right = " + (@($held[$right]) + "*$sid" -join ',') }
        Set-Content -LiteralPath "$base.inf" -Value $lines -Encoding Unicode
        & secedit.exe /configure /db "$base.sdb" /cfg "$base.inf" /areas USER_RIGHTS /quiet | Out-Null
        if ($LASTEXITCODE -ne 0) { throw "secedit /configure: exit code $LASTEXITCODE" }
        $held = Read-Rights
    }
    finally { Remove-Item -Path "$base*" }
    $refused = @($lacking | Where-Object { $held[$_] -notcontains "*$sid" -and $held[$_] -notcontains $user })
    if ($refused) { throw "this PC does not keep the rights of ${user}: $($refused -join ', ')" }
}
$key = "HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList\$sid"
if (-not (Test-Path -LiteralPath $key)) {
    # Its first logon makes its profile.
    $code = Invoke-AsUser $user "$env:SystemRoot\System32\cmd.exe" '/c exit 0' 120
    if (-not (Test-Path -LiteralPath $key)) { throw "first logon of $user made no profile: task result $('0x{0:X8}' -f $code)" }
}
$global:LASTEXITCODE = 0
