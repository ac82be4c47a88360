# Local users and groups.
enum Double_PrincipalSource { Unknown = 0; Local = 1; ActiveDirectory = 2; AzureAD = 3; MicrosoftAccount = 4 }

function New-DoubleUser($Facts) {
    $class = if ($env:CITADELLE_CULTURE -like 'fr*') { 'Utilisateur' } else { 'User' }
    New-DoubleObject 'Microsoft.PowerShell.Commands.LocalUser' ([ordered]@{
        AccountExpires = ConvertTo-DoubleDate $Facts.AccountExpires
        Description = $Facts.Description
        Enabled = $Facts.Enabled
        FullName = $Facts.FullName
        PasswordChangeableDate = ConvertTo-DoubleDate $Facts.PasswordLastSet
        PasswordExpires = $(if (-not $Facts.PasswordNeverExpires -and $Facts.PasswordLastSet) {
            (ConvertTo-DoubleDate $Facts.PasswordLastSet).AddDays(42)
        })
        UserMayChangePassword = $Facts.UserMayChangePassword; PasswordRequired = $Facts.PasswordRequired
        PasswordLastSet = ConvertTo-DoubleDate $Facts.PasswordLastSet; LastLogon = ConvertTo-DoubleDate $Facts.LastLogon
        Name = $Facts.Name; SID = [DoubleSid]$Facts.SID; PrincipalSource = [Double_PrincipalSource]::Local; ObjectClass = $class })
}
function New-DoubleGroup($Facts) {
    $class = if ($env:CITADELLE_CULTURE -like 'fr*') { 'Groupe' } else { 'Group' }
    New-DoubleObject 'Microsoft.PowerShell.Commands.LocalGroup' ([ordered]@{
        Description = $Facts.Description
        Name = $Facts.Name
        SID = [DoubleSid]$Facts.SID
        PrincipalSource = [Double_PrincipalSource]::Local
        ObjectClass = $class })
}

# Principals of a kind by -Name, -SID or an object; each missing one is an error of its own.
function Find-DoublePrincipal($List, $Bound, $Cmdlet, [string]$Kind) {
    $objects = $Bound.InputObject
    $sids = @(if ($objects) {
        $objects | ForEach-Object { "$($_.SID.Value)" }
    } elseif ($Bound.SID) { $Bound.SID | ForEach-Object { "$_" } })
    if ($sids) {
        foreach ($sid in $sids) {
            $found = @($List | Where-Object { $_.SID -eq $sid })
            if ($found) { $found } else { Write-DoubleError $Cmdlet "${Kind}NotFound" "$Kind $sid was not found." ObjectNotFound $sid }
        }
    } elseif ($Bound.Name) {
        foreach ($name in $Bound.Name) {
            $found = @($List | Where-Object { $_.Name -like $name })
            if ($found) { $found }
            elseif (-not [Management.Automation.WildcardPattern]::ContainsWildcardCharacters($name)) {
                Write-DoubleError $Cmdlet "${Kind}NotFound" "$Kind $name was not found." ObjectNotFound $name
            }
        }
    } else { $List }
}
function Assert-DoubleName($Cmdlet, [string]$Name) {
    if ($Name.Length -gt 20 -or $Name -match '["/\\\[\]:;|=,+*?<>@]') {
        $problem = "The name '$Name' is not valid: at most 20 characters, none of `"/\[]:;|=,+*?<>@."
        Stop-Double $Cmdlet 'InvalidName' $problem InvalidArgument $Name
    }
}

Body 'Get-LocalUser' {
    param($Bound, $Cmdlet)
    foreach ($user in Find-DoublePrincipal (Get-DoubleState).users $Bound $Cmdlet 'User') { New-DoubleUser $user }
}

# For a test that looks for a password everywhere: kept where, and only where, such a test has made the folder for it.
function Save-DoubleSecret([string]$Name, $Secure) {
    if ($Secure -and [IO.Directory]::Exists("$env:WINDOWS_DOUBLE_STATE/secrets")) {
        [IO.File]::WriteAllText("$env:WINDOWS_DOUBLE_STATE/secrets/$Name", (New-Object Net.NetworkCredential '', $Secure).Password)
    }
}

Body 'New-LocalUser' {
    param($Bound, $Cmdlet)
    Assert-DoubleName $Cmdlet $Bound.Name
    if ("$($Bound.Description)".Length -gt 48) {
        $problem = "Cannot validate argument on parameter 'Description'. The character length of the argument is more than 48."
        Stop-Double $Cmdlet 'ParameterArgumentValidationError' $problem InvalidData $Bound.Description
    }
    if ((Get-DoubleState).users.Name -contains $Bound.Name) {
        Stop-Double $Cmdlet 'UserExists' "User $($Bound.Name) already exists." ResourceExists $Bound.Name
    }
    if (-not $Cmdlet.ShouldProcess($Bound.Name, 'Create new local user')) { return }
    Edit-DoubleState {
        param($state)
        $state.users += [pscustomobject][ordered]@{
            Name = $Bound.Name
            SID = "$($state.machine_sid)-$($state.next_rid)"
            Enabled = -not $Bound.Disabled
            FullName = "$($Bound.FullName)"
            Description = "$($Bound.Description)"
            PasswordRequired = -not $Bound.NoPassword
            UserMayChangePassword = -not $Bound.UserMayNotChangePassword
            PasswordNeverExpires = [bool]$Bound.PasswordNeverExpires
            AccountExpires = ConvertFrom-DoubleDate $Bound.AccountExpires
            PasswordLastSet = $(if (-not $Bound.NoPassword) { Get-DoubleNow })
            LastLogon = $null }
        $state.next_rid++
    }
    Save-DoubleSecret $Bound.Name $Bound.Password
    Invoke-DoubleControl account add $Bound.Name
    New-DoubleUser ((Get-DoubleState).users | Where-Object { $_.Name -eq $Bound.Name })
}

# Changes each user that a call names.
function Edit-DoubleUser($Bound, $Cmdlet, [scriptblock]$Change) {
    $sids = @(Find-DoublePrincipal (Get-DoubleState).users $Bound $Cmdlet 'User' | ForEach-Object { $_.SID })
    Edit-DoubleState {
        param($state)
        foreach ($user in @($state.users)) {
            if ($sids -contains $user.SID -and $Cmdlet.ShouldProcess($user.Name)) { & $Change $user $state }
        }
    }
}
Body 'Set-LocalUser' {
    param($Bound, $Cmdlet)
    Edit-DoubleUser $Bound $Cmdlet {
        param($user)
        foreach ($key in 'FullName','Description','UserMayChangePassword','PasswordNeverExpires') {
            if ($Bound.ContainsKey($key)) { $user.$key = $Bound[$key] }
        }
        if ($Bound.Password) { $user.PasswordLastSet = Get-DoubleNow }
        if ($Bound.AccountNeverExpires) { $user.AccountExpires = $null } elseif ($Bound.AccountExpires) {
            $user.AccountExpires = ConvertFrom-DoubleDate $Bound.AccountExpires
        }
    }
}
Body 'Enable-LocalUser' { param($Bound, $Cmdlet) Edit-DoubleUser $Bound $Cmdlet { param($user) $user.Enabled = $true } }
Body 'Disable-LocalUser' { param($Bound, $Cmdlet) Edit-DoubleUser $Bound $Cmdlet { param($user) $user.Enabled = $false } }
Body 'Remove-LocalUser' {
    param($Bound, $Cmdlet)
    $before = @((Get-DoubleState).users.Name)
    Edit-DoubleUser $Bound $Cmdlet {
        param($user, $state)
        $state.users = @($state.users | Where-Object { $_.SID -ne $user.SID })
        foreach ($group in $state.groups) { $group.Members = @($group.Members | Where-Object { $_ -ne $user.SID }) }
    }
    $after = @((Get-DoubleState).users.Name)
    foreach ($name in $before) { if ($after -notcontains $name) { Invoke-DoubleControl account remove $name } }
}

Body 'Get-LocalGroup' {
    param($Bound, $Cmdlet)
    foreach ($group in Find-DoublePrincipal (Get-DoubleState).groups $Bound $Cmdlet 'Group') { New-DoubleGroup $group }
}
Body 'New-LocalGroup' {
    param($Bound, $Cmdlet)
    if ((Get-DoubleState).groups.Name -contains $Bound.Name) {
        Stop-Double $Cmdlet 'GroupExists' "Group $($Bound.Name) already exists." ResourceExists $Bound.Name
    }
    if (-not $Cmdlet.ShouldProcess($Bound.Name, 'Create new local group')) { return }
    Edit-DoubleState {
        param($state)
        $state.groups += [pscustomobject][ordered]@{
            Name = $Bound.Name
            SID = "$($state.machine_sid)-$($state.next_rid)"
            Description = "$($Bound.Description)"
            Members = @()
        }
        $state.next_rid++
    }
    New-DoubleGroup ((Get-DoubleState).groups | Where-Object { $_.Name -eq $Bound.Name })
}

# One group by -Group, -SID or -Name.
function Find-DoubleGroup($State, $Bound, $Cmdlet) {
    $sid = if ($Bound.SID) { "$($Bound.SID)" } elseif ($Bound.Group -and $Bound.Group.SID) { $Bound.Group.SID.Value }
    $name = if ($Bound.Name) { $Bound.Name } else { "$($Bound.Group)" }
    $found = @($State.groups | Where-Object { if ($sid) { $_.SID -eq $sid } else { $_.Name -eq $name } })
    if (-not $found) {
        $shown = if ($sid) { $sid } else { $name }
        Stop-Double $Cmdlet 'GroupNotFound' "Group $shown was not found." ObjectNotFound $shown
    }
    $found[0]
}
function Resolve-DoubleMember($State, $Member, $Cmdlet) {
    if ($Member.SID.Value) { return $Member.SID.Value }
    $text = "$Member"
    if ($text -match '^S-1-') { return $text }
    $found = @($State.users + $State.groups | Where-Object { $_.Name -eq $text.Split('\')[-1] })
    if ($found) { $found[0].SID } else {
        Write-DoubleError $Cmdlet 'PrincipalNotFound' "Principal $text was not found." ObjectNotFound $text
    }
}
Body 'Get-LocalGroupMember' {
    param($Bound, $Cmdlet)
    $state = Get-DoubleState
    $wellKnown = @{ 'S-1-5-4' = 'NT AUTHORITY\INTERACTIVE'; 'S-1-5-11' = 'NT AUTHORITY\Authenticated Users' }
    foreach ($sid in (Find-DoubleGroup $state $Bound $Cmdlet).Members) {
        $user = @($state.users | Where-Object { $_.SID -eq $sid })
        $name = if ($user) { "$env:COMPUTERNAME\$($user[0].Name)" } elseif ($wellKnown[$sid]) { $wellKnown[$sid] } else { $sid }
        if ($Bound.Member -and $name -notlike "*$($Bound.Member)") { continue }
        $class = if ($user) {
            (New-DoubleUser $user[0]).ObjectClass
        } elseif ($env:CITADELLE_CULTURE -like 'fr*') { 'Groupe' } else { 'Group' }
        $source = if ($user) { [Double_PrincipalSource]::Local } else { [Double_PrincipalSource]::Unknown }
        New-DoubleObject 'Microsoft.PowerShell.Commands.LocalPrincipal' ([ordered]@{
            Name = $name
            SID = [DoubleSid]$sid
            PrincipalSource = $source
            ObjectClass = $class
        })
    }
}
function Edit-DoubleMembers($Bound, $Cmdlet, [bool]$Adds) {
    $state = Get-DoubleState
    $sid = (Find-DoubleGroup $state $Bound $Cmdlet).SID
    $members = @($Bound.Member | ForEach-Object { Resolve-DoubleMember $state $_ $Cmdlet })
    Edit-DoubleState {
        param($state)
        $group = $state.groups | Where-Object { $_.SID -eq $sid }
        foreach ($member in $members) {
            $there = @($group.Members) -contains $member
            if ($Adds -and $there) {
                Write-DoubleError $Cmdlet 'MemberExists' "$member is already a member of group $($group.Name)." ResourceExists $member
            }
            elseif (-not $Adds -and -not $there) {
                Write-DoubleError $Cmdlet 'MemberNotFound' "Member $member was not found in group $($group.Name)." ObjectNotFound $member
            }
            elseif ($Cmdlet.ShouldProcess($group.Name)) {
                $group.Members = @(if ($Adds) { @($group.Members) + $member } else { $group.Members | Where-Object { $_ -ne $member } })
            }
        }
    }
}
Body 'Add-LocalGroupMember' { param($Bound, $Cmdlet) Edit-DoubleMembers $Bound $Cmdlet $true }
Body 'Remove-LocalGroupMember' { param($Bound, $Cmdlet) Edit-DoubleMembers $Bound $Cmdlet $false }
